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


def test_repeated_fault_is_printed_once_a_second_with_the_number_of_others(logger, monkeypatch):
    log_to_stderr(logger.name, once_a_second=True)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    now = [100.0]
    monkeypatch.setattr("facepad.runtime.log.time.monotonic", lambda: now[0])
    for second in (0, 1):
        for number in range(100):
            now[0] = 100 + second + number / 1e5
            logger.warning("%d connections are open", 20)
            logger.info("request %d", number)
    logger.warning("another fault")
    lines = [line for line in sys.stderr.getvalue().splitlines() if not line.startswith("request")]
    assert lines == [
        "20 connections are open",
        "20 connections are open (and 99 more since the last such line)",
        "another fault",
    ]
    assert sys.stderr.getvalue().count("request") == 200


def test_different_faults_of_one_line_of_code_are_printed(logger, monkeypatch):
    log_to_stderr(logger.name, once_a_second=True)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    for number in range(1500):
        logger.warning("file %d is open to all", number)
    assert sys.stderr.getvalue().count("\n") == 1500


def test_faults_with_different_exceptions_are_printed(logger, monkeypatch):
    log_to_stderr(logger.name, once_a_second=True)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    for error in (KeyError("a"), KeyError("b"), ValueError("c")):
        logger.error("request %s failed", error.args[0], exc_info=error)
    assert sys.stderr.getvalue().splitlines() == [
        "request a failed",
        "KeyError: 'a'",
        "request b failed (the same KeyError as before)",
        "request c failed",
        "ValueError: c",
    ]


def test_each_failure_is_printed_with_its_message_and_each_place_with_its_traceback(logger, monkeypatch):
    def log_failure(name, place):
        try:
            place()
        except ValueError:
            logger.exception("request %s failed", name)

    log_to_stderr(logger.name, once_a_second=True)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    for name, text in (("a", "one"), ("b", "two"), ("b", "three")):
        log_failure(name, lambda text=text: int(text))
    log_failure("c", lambda: float("four"))
    printed = sys.stderr.getvalue()
    lines = [line for line in printed.splitlines() if line.startswith(("request", "ValueError"))]
    assert lines == [
        "request a failed",
        "ValueError: invalid literal for int() with base 10: 'one'",
        "request b failed (the same ValueError as before)",
        "request c failed",
        "ValueError: could not convert string to float: 'four'",
    ]
    assert printed.count("Traceback") == 2


def test_message_with_wrong_arguments_does_not_stop_the_work_that_is_logged(logger, monkeypatch):
    log_to_stderr(logger.name, once_a_second=True)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(logger, "propagate", False)  # The handler of pytest raises on such a message.
    logger.warning("%d files", "many")
    logger.warning("and further")
    assert sys.stderr.getvalue().endswith("and further\n")
