"""Where settings come from: options over the environment over one file, and which file that is."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadheat.errors import SettingsError
from deadheat.settings import Settings, load_settings

TARGET = '[target]\nstart = "serve"\n'


def load(cwd: Path, options: dict[str, object] | None = None, **environ: str) -> Settings:
    """Load with nothing given but what is named."""
    return load_settings(options=options or {}, environ=environ, cwd=cwd)


def write(folder: Path, text: str, name: str = "deadheat.toml") -> Path:
    """Write a settings file."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


class TestLayers:
    """The command line wins over the environment, and that over the file."""

    def test_each_layer_wins_over_the_next(self, tmp_path: Path) -> None:
        write(tmp_path, "schedules = 1\nseconds = 1\nworkers = 1\n" + TARGET)
        settings = load(
            tmp_path,
            {"schedules": 3},
            DEADHEAT_SCHEDULES="2",
            DEADHEAT_SECONDS="2.5",
        )
        assert (settings.schedules, settings.seconds, settings.workers) == (3, 2.5, 1)

    def test_every_run_setting_may_stand_in_the_file(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            'strategy = "serial"\nschedules = 7\nseconds = 0.5\nseed = 9\nworkers = 2\n'
            'postgres = "embedded"\nstripe-mock = "off"\nstripe-mock-mode = "warn"\n'
            'stripe-latency-ms = [0, 2.5]\nscenarios = ["races", "/abs/races"]\n' + TARGET,
        )
        settings = load(tmp_path)
        assert settings.strategy == "serial"
        assert (settings.schedules, settings.seconds, settings.seed, settings.workers) == (7, 0.5, 9, 2)
        assert (settings.postgres, settings.stripe_mock, settings.stripe_mock_mode) == (
            "embedded",
            "off",
            "warn",
        )
        assert settings.stripe_latency_ms == (0.0, 2.5)
        assert settings.scenarios == (tmp_path / "races", Path("/abs/races"))

    @pytest.mark.parametrize("value", ["5", "[5]", "[50, 5]", "[-1, 5]", "[0, 1e9]", "[true, 5]", "[0, nan]"])
    def test_a_latency_is_two_numbers_in_order(self, tmp_path: Path, value: str) -> None:
        write(tmp_path, f"stripe-latency-ms = {value}\n" + TARGET)
        with pytest.raises(SettingsError, match=r"stripe-latency-ms: should be two numbers of milliseconds"):
            load(tmp_path)

    def test_every_run_setting_may_stand_in_the_environment(self, tmp_path: Path) -> None:
        write(tmp_path, TARGET)
        settings = load(
            tmp_path,
            DEADHEAT_POSTGRES="docker",
            DEADHEAT_STRIPE_MOCK="http://127.0.0.1:12111",
            DEADHEAT_STRIPE_MOCK_MODE="warn",
            DEADHEAT_STRATEGY="barrage",
            DEADHEAT_SCHEDULES="4",
            DEADHEAT_SECONDS="60",
            DEADHEAT_SEED="4294967295",
            DEADHEAT_WORKERS="3",
            DEADHEAT_TARGET_WORKERS="5",
            DEADHEAT_KEEP="all",
            DEADHEAT_JUNIT="out/junit.xml",
            DEADHEAT_JSON="/abs/summary.json",
        )
        assert (settings.postgres, settings.stripe_mock) == ("docker", "http://127.0.0.1:12111")
        assert (settings.stripe_mock_mode, settings.strategy) == ("warn", "barrage")
        assert (settings.schedules, settings.seconds, settings.seed) == (4, 60.0, 4294967295)
        assert (settings.workers, settings.target.workers, settings.keep_all) == (3, 5, True)
        assert (settings.junit, settings.json) == (tmp_path / "out/junit.xml", Path("/abs/summary.json"))

    def test_options_may_be_spelt_either_way_and_left_out(self, tmp_path: Path) -> None:
        write(tmp_path, TARGET)
        settings = load(
            tmp_path,
            {
                "stripe_mock": "off",
                "stripe-mock-mode": "warn",
                "seconds": None,
                "junit": Path("j.xml"),
                "scenarios": (),
            },
        )
        assert (settings.stripe_mock, settings.stripe_mock_mode) == ("off", "warn")
        assert (settings.seconds, settings.junit, settings.scenarios) == (None, tmp_path / "j.xml", ())

    def test_an_empty_variable_counts_as_unset(self, tmp_path: Path) -> None:
        write(tmp_path, "seconds = 3\n" + TARGET)
        assert load(tmp_path, DEADHEAT_SECONDS="", DEADHEAT_TARGET="").seconds == 3.0

    def test_state_lies_in_the_working_folder(self, tmp_path: Path) -> None:
        write(tmp_path, TARGET, "app/deadheat.toml")
        assert load(tmp_path, {"target": "app"}).state_folder == tmp_path / ".deadheat"

    def test_without_a_seed_each_invocation_draws_one(self, tmp_path: Path) -> None:
        write(tmp_path, TARGET)
        seeds = {load(tmp_path).seed for _ in range(5)}
        assert len(seeds) > 1  # five equal draws of 32 bits: once in 2**128
        assert all(0 <= seed < 2**32 for seed in seeds)

    @pytest.mark.parametrize(
        ("options", "environ", "says"),
        [
            ({"schedules": 0}, {}, "--schedules: should be a whole number from 1 to"),
            ({"seconds": -1.0}, {}, "--seconds: should be a number of seconds over 0, was -1.0"),
            ({"seconds": "nan"}, {}, '--seconds: should be a number of seconds over 0, was "nan"'),
            ({"seconds": "inf"}, {}, "--seconds"),
            ({"workers": True}, {}, "--workers: should be a whole number from 1 to 64, was true"),
            ({"strategy": "serail"}, {}, 'delay-bounded, exhaustive, was "serail". Did you mean "serial"?'),
            ({"postgres": "embeded"}, {}, 'Did you mean "embedded"?'),
            (
                {"postgres": "mysql://localhost/x"},
                {},
                "--postgres: should be auto, embedded, docker or a DSN",
            ),
            ({"stripe-mock": "of"}, {}, 'Did you mean "off"?'),
            ({"keep": "some"}, {}, "--keep: should be all"),
            ({"stratgy": "serial"}, {}, 'there is no option --stratgy. Did you mean "strategy"?'),
            (
                {},
                {"DEADHEAT_SECONDS": "soon"},
                'DEADHEAT_SECONDS: should be a number of seconds over 0, was "soon"',
            ),
            (
                {},
                {"DEADHEAT_SEED": "4294967296"},
                "DEADHEAT_SEED: should be a whole number from 0 to 4294967295",
            ),
            ({}, {"DEADHEAT_SEED": "-1"}, "DEADHEAT_SEED"),
            ({}, {"DEADHEAT_WORKERS": "1.5"}, "DEADHEAT_WORKERS"),
            ({}, {"DEADHEAT_SECOND": "1"}, 'no DEADHEAT_SECOND. Did you mean "DEADHEAT_SECONDS"?'),
            ({}, {"DEADHEAT_SCENARIOS": "x"}, "there is no DEADHEAT_SCENARIOS"),
        ],
    )
    def test_a_wrong_value_is_named_with_where_it_stands(
        self, tmp_path: Path, options: dict[str, object], environ: dict[str, str], says: str
    ) -> None:
        write(tmp_path, TARGET)
        with pytest.raises(SettingsError) as error:
            load(tmp_path, options, **environ)
        assert says in str(error.value)

    def test_a_wrong_value_shows_even_where_another_layer_wins(self, tmp_path: Path) -> None:
        write(tmp_path, 'seconds = "soon"\n' + TARGET)
        with pytest.raises(SettingsError, match=r'^deadheat\.toml: seconds: should be .*, was "soon"'):
            load(tmp_path, {"seconds": 3})

    def test_stripe_mock_is_a_path_from_where_it_was_said(self, tmp_path: Path) -> None:
        write(tmp_path, 'stripe-mock = "bin/mock"\n' + TARGET, "app/deadheat.toml")
        target: dict[str, object] = {"target": "app"}
        assert load(tmp_path, target).stripe_mock == str(tmp_path / "app/bin/mock")
        assert load(tmp_path, target, DEADHEAT_STRIPE_MOCK="bin/mock").stripe_mock == str(
            tmp_path / "bin/mock"
        )
        assert load(tmp_path, target, DEADHEAT_STRIPE_MOCK="/opt/mock").stripe_mock == "/opt/mock"
        assert load(tmp_path, target, DEADHEAT_STRIPE_MOCK="sh").stripe_mock.endswith("/sh")


class TestWhichTarget:
    """``--target``, and what is raced without it."""

    def test_the_project_in_the_working_folder(self, tmp_path: Path) -> None:
        write(tmp_path, TARGET)
        write(tmp_path, '[tool.deadheat.target]\nstart = "other"\n', "pyproject.toml")
        settings = load(tmp_path)
        assert (settings.target.start, settings.target_name) == ("serve", "deadheat.toml")
        assert settings.target.folder == tmp_path

    def test_a_table_of_pyproject_toml(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            '[project]\nname = "x"\n[tool.deadheat]\nseed = 5\n[tool.deadheat.target]\nstart = "a"\n',
            "pyproject.toml",
        )
        settings = load(tmp_path)
        assert (settings.target.start, settings.target_name, settings.seed) == ("a", "pyproject.toml", 5)

    def test_a_table_without_target_is_about_the_reference(self, tmp_path: Path) -> None:
        write(
            tmp_path, "[tool.deadheat]\nseed = 5\ninvariants = { charged-once = 'off' }\n", "pyproject.toml"
        )
        settings = load(tmp_path)
        assert (settings.target_name, settings.seed) == ("reference", 5)
        assert settings.invariants["charged-once"] == "off"
        assert settings.target == load(tmp_path, {"target": "reference"}).target

    def test_the_reference_where_there_is_nothing(self, tmp_path: Path) -> None:
        write(tmp_path, '[project]\nname = "x"\n', "pyproject.toml")
        settings = load(tmp_path)
        assert settings.target_name == "reference"
        assert settings.target.folder.name == "reference_impl"
        assert {"sign-up", "create-customer", "check-out"} <= settings.target.operations.keys()

    def test_the_code_as_it_was(self, tmp_path: Path) -> None:
        settings = load(tmp_path, DEADHEAT_TARGET="before")
        assert (settings.target_name, settings.target.folder.name) == ("before", "before")

    def test_a_file_or_its_folder(self, tmp_path: Path) -> None:
        path = write(tmp_path, TARGET, "app/deadheat.toml")
        other = write(tmp_path, '[target]\nstart = "other"\n', "app/staging.toml")
        for wanted in ("app", "app/deadheat.toml", str(path)):
            settings = load(tmp_path, {"target": wanted})
            assert (settings.target.start, settings.target_name) == ("serve", "app/deadheat.toml")
        assert load(tmp_path, {"target": str(other)}).target.start == "other"

    def test_a_url_is_the_references_operations_there(self, tmp_path: Path) -> None:
        settings = load(tmp_path, {"target": "http://127.0.0.1:8000/"})
        reference = load(tmp_path, {"target": "reference"}).target
        assert settings.target.base_url == "http://127.0.0.1:8000"
        assert settings.target_name == "http://127.0.0.1:8000"
        assert (settings.target.start, settings.target.migrate, settings.target.env) == (None, None, {})
        assert settings.target.operations == reference.operations
        assert settings.target.tables == reference.tables

    def test_deadheats_own_targets_take_nothing_from_the_project(self, tmp_path: Path) -> None:
        write(tmp_path, "seed = 5\npostgres = 'docker'\n[invariants]\ncharged-once = 'off'\n" + TARGET)
        for wanted in ("reference", "before", "http://localhost:1"):
            settings = load(tmp_path, {"target": wanted, "seed": 1})
            assert settings.postgres == "auto"
            assert settings.invariants.get("charged-once") != "off"

    @pytest.mark.parametrize(
        ("wanted", "says"),
        [
            ("referense", 'there is no file referense. Did you mean "reference"?'),
            ("nowhere/deadheat.toml", "A target is reference, before, a settings file or a URL"),
            ("ftp://localhost/", "--target: should be a URL"),
            ("http://localhost:1/?q=1", "--target: should be a URL"),
            ("empty", "there is no file empty"),
        ],
    )
    def test_what_is_no_target_is_refused(self, tmp_path: Path, wanted: str, says: str) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(SettingsError) as error:
            load(tmp_path, {"target": wanted})
        assert says in str(error.value)

    def test_a_file_without_target_is_refused(self, tmp_path: Path) -> None:
        write(tmp_path, "seed = 1\n")
        with pytest.raises(SettingsError, match=r"deadheat\.toml: it describes no \[target\]"):
            load(tmp_path)

    def test_pyproject_toml_without_our_table_is_no_target(self, tmp_path: Path) -> None:
        write(tmp_path, "[tool.other]\n", "pyproject.toml")
        with pytest.raises(SettingsError, match=r"pyproject\.toml: it has no table \[tool\.deadheat\]"):
            load(tmp_path, {"target": "pyproject.toml"})

    def test_workers_of_a_target_that_runs_already_are_its_own(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"^--target-workers: this target runs already"):
            load(tmp_path, {"target": "http://localhost:1", "target_workers": 4})
