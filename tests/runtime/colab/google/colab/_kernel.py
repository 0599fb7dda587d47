"""Colab's kernel: IPython's, by a class of its own."""

from ipykernel.ipkernel import IPythonKernel


class Kernel(IPythonKernel):
    pass
