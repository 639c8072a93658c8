"""Lines of code without comments, here-documents told apart, commands by their ends."""

from hpctrain.directives.shell import heredoc_lines, read_code, read_commands


def texts(script: str) -> list[tuple[int, str]]:
    return [(item.line, item.text.strip()) for item in read_code(script)]


def test_read_code__comments_go():
    script = "#!/bin/bash\nls  # all\necho 'a # b' \"c # d\" ${x#y} $#\n# none"
    assert texts(script) == [(2, "ls"), (3, "echo 'a # b' \"c # d\" ${x#y} $#")]


def test_read_code__continued_lines_are_one():
    assert texts("srun \\\n  -n 4 \\\n  ./run\nls") == [(1, "srun    -n 4    ./run"), (4, "ls")]


def test_read_code__a_quote_over_lines_is_one():
    assert texts("bash -c '\n# no comment\nls'\npwd") == [
        (1, "bash -c '\n# no comment\nls'"),
        (4, "pwd"),
    ]


def test_read_code__lists_of_words_are_one():
    assert [line for line, _ in texts("command=(\n  srun -n 4\n  ./run\n)\nls")] == [1, 5]


def test_read_code__here_documents():
    script = "cat <<EOF >x\n#PBS -q a\nEOF\npython - <<-'END'\n\timport os\n\tEND\nls"
    assert heredoc_lines(script) == {2, 5}
    found = {item.line: item.is_expanded for item in read_code(script) if item.is_heredoc}
    assert found == {2: True, 5: False}
    assert texts(script)[-1] == (7, "ls")


def test_read_code__a_here_string_is_none():
    assert heredoc_lines('read -r a <<< "$b"\nls') == set()


def test_read_commands__ends():
    script = "a 2>&1 | b && c; d &\ne 'x;y' &>log\nlist=(srun x)\nf"
    found = [(c.line, c.text, c.end) for c in read_commands(read_code(script))]
    assert found == [
        (1, "a 2>&1", "|"),
        (1, "b", "&&"),
        (1, "c", ";"),
        (1, "d", "&"),
        (2, "e 'x;y' &>log", ""),
        (3, "list=(srun x)", ""),
        (4, "f", ""),
    ]


def test_read_commands__here_documents_are_none():
    assert [c.text for c in read_commands(read_code("cat <<E\nsrun a\nE\nls"))] == ["cat <<E", "ls"]
