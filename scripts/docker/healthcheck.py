"""Exits 0 if the server of this container would answer a question now, else 1 with the reason."""

import os
import sys
from urllib.error import URLError
from urllib.request import urlopen


def main() -> None:
    url = f"http://127.0.0.1:{os.environ.get('PORT') or 8000}/health/ready"
    try:
        urlopen(url, timeout=5).close()
    except (URLError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
