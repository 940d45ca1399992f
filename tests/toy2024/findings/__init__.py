"""What the paper found: a module a finding."""
