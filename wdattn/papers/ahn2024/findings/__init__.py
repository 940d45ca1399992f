"""What Ahn et al. (2024) found: a module a finding, with its claims and figures."""
