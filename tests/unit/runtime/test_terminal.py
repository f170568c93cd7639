"""No foreign text reaches the terminal raw."""

import logging
import sys

import pytest

from facepad.cli.app import say, show
from facepad.runtime.log import log_to_stderr
from facepad.runtime.progress import progress_bar
from facepad.runtime.terminal import one_line, safe_text

HOSTILE = "a\x1b[2Jb\x9bc\rd\u202ee\u2028f\udce9g\nh"
ESCAPED = r"a\x1b[2Jb\x9bc\rd\u202ee\u2028f\udce9g"


def test_text_without_commands_is_unchanged():
    text = "Zoë 10\xa0% → 9.41\u202fAM 中\u3000文 می\u200cخواهم 👩\u200d💻"
    assert one_line(text) == safe_text(text) == text


def test_results_keep_only_their_line_ends(capsys):
    show(HOSTILE)
    assert capsys.readouterr().out == f"{ESCAPED}\nh\n"


def test_messages_keep_no_line_end_of_a_foreign_text(capsys):
    say(HOSTILE, "b")
    assert capsys.readouterr().err == f"{ESCAPED}\\nh\nb\n"


@pytest.fixture
def logger():
    log_to_stderr("hostile")
    yield logging.getLogger("hostile")
    logging.getLogger("hostile").handlers.clear()


def test_log_has_one_line_for_a_message_and_keeps_the_lines_of_a_traceback(capsys, logger):
    # Without the lone surrogate: pytest captures the log, and a process of pytest-xdist could not send the surrogate.
    hostile, escaped = HOSTILE.replace("\udce9", ""), ESCAPED.replace(r"\udce9", "")
    logger.warning("read %s", hostile)
    try:
        raise ValueError(hostile)
    except ValueError:
        logger.exception("failed")
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == [rf"read {escaped}\nh", "failed", "Traceback (most recent call last):"]
    assert f"ValueError: {escaped}" in lines


def test_title_of_a_progress_bar_is_no_command(capsys):
    with progress_bar("[red]\x1b[2J", 1, shown=True) as advance:
        advance()
    shown = capsys.readouterr().err
    assert r"[red]\x1b" in shown.replace("\n", "") and "\x1b[2J" not in shown
    assert sys.stderr is not None
