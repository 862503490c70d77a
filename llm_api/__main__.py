"""`python -m llm_api` is `llm-api`, and without a command the server."""

import sys

from llm_api.cli import main

if __name__ == "__main__":
    main(sys.argv[1:] or ["serve"])
