"""`python -m colab_remote` is `colab-remote`."""

from colab_remote.cli import main

if __name__ == "__main__":
    main()
