"""What EfficientNet-Lite0 is called and what is read off it. No torch here: a cached graph runs without it.

The raw features of a picture are five parts: the means of the last feature map, and means and deviations over space of
four middle layers.
"""

NAME = "efficientnet-lite0"
HEAD_CHANNELS = 1280
TAPPED_BLOCKS = (4, 10, 14, 15)  # 40, 112, 192 and 320 channels: colours and strokes up to whole objects
PARTS = (HEAD_CHANNELS, 2 * 40, 2 * 112, 2 * 192, 2 * 320)  # numbers in each part, in their order
FEATURES = sum(PARTS)
MAP_SHAPE = (7, 7, HEAD_CHANNELS)  # of the last feature map: one column of numbers for each 32 x 32 pixels
READ_OFF = "head-4-10-14-15-mean-std-1"  # part of every encoder version: change it whenever the features change
