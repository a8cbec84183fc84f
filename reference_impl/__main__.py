"""``python -m reference_impl``: serve on PORT, on the loopback interface."""

from __future__ import annotations

import os

import uvicorn

if __name__ == "__main__":
    uvicorn.run("reference_impl.app:app", host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
