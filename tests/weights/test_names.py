from wdattn.weights import escaped


def test_what_a_terminal_would_obey_is_spelled_out():
    told = escaped("a\x1b]0;title\x07\r\n\u202eb\ud800\x9b2J")
    assert told == r"a\x1b]0;title\x07\r\n\u202eb\ud800\x9b2J"
    told.encode("utf-8")  # a lone surrogate would not pass
    assert escaped("block 0/Wᵀ σ") == "block 0/Wᵀ σ"


def test_a_long_name_is_shortened():
    assert escaped("x" * 400) == "x" * 400
    assert escaped("x" * 401) == "x" * 399 + "…"
