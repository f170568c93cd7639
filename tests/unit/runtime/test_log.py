import io
import logging
import sys

import pytest

from facepad.runtime.log import log_to_stderr


@pytest.fixture
def logger():
    logger = logging.getLogger("facepad-test-log")
    yield logger
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)


def test_log_is_printed_once_on_the_stderr_of_the_moment(logger, monkeypatch):
    log_to_stderr(logger.name)
    log_to_stderr(logger.name)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    logger.info("downloading")
    assert sys.stderr.getvalue() == "downloading\n"


def test_closed_stderr_does_not_stop_the_work_that_is_logged(logger, monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    log_to_stderr(logger.name)
    monkeypatch.setattr(sys, "stderr", Closed())
    logger.info("downloading")
