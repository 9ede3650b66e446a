"""What makes definitions correct: registry, time, compilation, stores."""
