"""What is in a state directory, as core/file/statedir.h has it."""

import os


def mount_file(state):
    return os.path.join(state, "mount")


def new_mount_file(state):
    return os.path.join(state, "mount.new")


def objects_folder(state):
    return os.path.join(state, "objects")


def engine_file(state, number):
    return os.path.join(objects_folder(state), str(number))


def data_file(engine):
    """The memory of the array that has this engine file."""
    return engine + ".data"


def spare_file(state):
    return os.path.join(state, "spare")


def damaged_file(path):
    """Where `ipcctl check --repair` puts what it replaces."""
    return path + ".damaged"
