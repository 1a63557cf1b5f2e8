"""All of the build configuration is in ``setup.cfg``."""

from setuptools import setup

setup()
