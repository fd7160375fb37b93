"""Data of one's own: scikit-learn's handwritten digits, read one pixel at a time.

Each of 1,797 images has 8 x 8 pixels, so a sequence has 64 steps with one number each, and the net
has to name the digit after the last. A fifth of the images is the test set.

``jaxrnn sweep lstm gru --tasks examples/digits.py:digits`` trains nets on it; docs/howto/data.md
has settings that suit it.
"""

from sklearn.datasets import load_digits

import jaxrnn

images, labels = load_digits(return_X_y=True)
digits = jaxrnn.task_from_arrays(images / 16, labels)
