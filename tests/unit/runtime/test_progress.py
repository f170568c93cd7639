from facepad.runtime.progress import progress_bar


def test_a_bar_that_is_not_asked_for_writes_nothing(capsys):
    with progress_bar("counting", 2) as advance:
        advance()
        advance(1)
    assert capsys.readouterr() == ("", "")


def test_a_bar_goes_to_stderr_with_its_title_and_count(capsys):
    with progress_bar("counting", 3, shown=True) as advance:
        advance()
        advance(2)
        print("a result")
    out, err = capsys.readouterr()
    assert out == "a result\n"
    assert "counting" in err and "3/3" in err


def test_bytes_are_shown_as_megabytes(capsys):
    with progress_bar("downloading", 4_000_000, shown=True, unit="bytes") as advance:
        advance(4_000_000)
    assert "4.0/4.0 MB" in capsys.readouterr().err
