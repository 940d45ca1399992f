"""What is asked: settings, experiments, effects, claims, papers."""
