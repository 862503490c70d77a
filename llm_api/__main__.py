"""`python -m llm_api` is `llm-api`."""

from llm_api.cli import main

if __name__ == "__main__":
    main()
