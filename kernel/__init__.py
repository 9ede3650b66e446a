"""Words and ports that features, training and serving share."""

import os

# The one thing that importing us does. OpenMP's threads spin while they wait; when another process wants the same
# cores, LightGBM then trains 10 to 27 times slower (measured, 2 cores, 2 trainings at once). OpenMP reads this when
# LightGBM or scikit-learn is first imported, which is after us; a value that the user set stays.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
