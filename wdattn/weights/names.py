"""Names out of files, made fit to be printed."""

from wdattn import arguments

_MOST = 400


def escaped(text: str) -> str:
    r"""A text of one line in which a terminal sees nothing but letters and signs.

    Whatever cannot be printed (escape sequences, line ends, marks that turn the direction of
    writing) is written as Python writes it; a text of more than 400 characters ends with "…".

    Args:
        text: str, such as the name of a tensor or another library's message.

    Returns:
        str.

    Examples:
        >>> escaped("layer\x1b[31m\n")
        'layer\\x1b[31m\\n'
    """
    text = arguments.text("text", text)
    short = text if len(text) <= _MOST else text[: _MOST - 1] + "…"
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii")
        for sign in short
    )
