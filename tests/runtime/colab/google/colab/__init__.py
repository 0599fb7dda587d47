"""A stand-in for Colab's own module, as far as secrets go. The file named by COLAB_SECRETS says what it holds."""

from google.colab import userdata  # noqa: F401
