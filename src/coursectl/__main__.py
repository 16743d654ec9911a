"""``python -m coursectl``."""

from coursectl.cli.main import main

if __name__ == "__main__":
    main()
