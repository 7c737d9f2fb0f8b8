"""This machine."""

local = ["@local"]
