"""Folding: what does not change between the steps of a search is worked out once.

A part may have a method ``fold``, which returns its faster twin for search. It is optional: a part
without it is searched through its own methods.
"""


def folds(part: object, *replaced: str) -> bool:
    """Tells whether a part's ``fold`` may stand for its methods ``replaced``.

    It may not where a subclass overrides one of them below the class that defines ``fold``: that
    twin would know nothing of it.

    >>> class Whole:
    ...     def step(self): ...
    ...     def fold(self): ...
    >>> class Changed(Whole):
    ...     def step(self): ...
    >>> folds(Whole(), "step"), folds(Changed(), "step"), folds(object(), "step")
    (True, False, False)
    """
    for cls in type(part).__mro__:
        if "fold" in vars(cls):
            return True
        if any(name in vars(cls) for name in replaced):
            return False
    return False
