"""A stand-in for Colab's own module, as far as a runtime sees it. COLAB_SECRETS names the file of its secrets."""

from google.colab import output, userdata  # noqa: F401
