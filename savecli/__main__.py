"""`python -m savecli`, which is `save`; for launchers that start modules, as `torchrun` does."""

from savecli.cli.main import main

if __name__ == "__main__":
    main()
