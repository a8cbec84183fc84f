"""Elements of a page. A text is escaped when it becomes part of one, always: only elements are markup.

What a target sent is made harmless first (`deadheat.report.plain`): no key, no control character, nothing
that hides or reorders.
"""

from __future__ import annotations

from html import escape

from deadheat.report.plain import plain

VOID = frozenset({"meta", "br"})


class Markup(str):
    """Text that is HTML already; only `tag` and `joined` make it."""

    __slots__ = ()


Child = Markup | str | int | None


def tag(element: str, /, *children: Child, **attributes: str | int | bool | None) -> Markup:
    """Make an element. An attribute that is None or False is left out, one that is True has no value.

    ``class_`` stands for class, and ``_`` in a name for ``-``.
    """
    written = ""
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        shown = key.rstrip("_").replace("_", "-")
        written += f" {shown}" if value is True else f' {shown}="{escape(plain(value), quote=True)}"'
    if element in VOID:
        return Markup(f"<{element}{written}>")
    return Markup(f"<{element}{written}>{joined(*children)}</{element}>")


def joined(*children: Child) -> Markup:
    """Put elements and texts together."""
    return Markup("".join(text(child) for child in children if child is not None))


def text(child: Markup | str | int) -> Markup:
    """Make harmless and escape what is not markup yet."""
    return child if isinstance(child, Markup) else Markup(escape(plain(child), quote=False))


def lines(value: str, chars_max: int) -> Markup:
    """Give a text of several lines, each made harmless, for where white space is kept."""
    cut = value[:chars_max] + (f"\n… ({len(value)} characters)" if len(value) > chars_max else "")
    return Markup("\n".join(text(line) for line in cut.splitlines()))
