"""Use cases, one file per verb. They print nothing: they take a `report` and return an answer."""
