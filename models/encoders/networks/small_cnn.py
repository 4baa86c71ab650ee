"""A small network that scores pictures, trained from nothing on some hundreds of them.

In: pictures uint8 [B, 80, 80, 3] RGB. Out: 500 features float [B, 500], and a score float [B]. Nothing fails.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from models.encoders.networks.pixels import Pixels

SIZE_PX = 80
FEATURES = 500


class SmallCnn(nn.Module):
    """Convolution 5 x 5 to 20 channels, pooling, 5 x 5 to 50, pooling, 500 numbers, one score."""

    def __init__(self) -> None:
        super().__init__()
        self.pixels = Pixels()
        self.conv1 = nn.Conv2d(3, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        side = ((SIZE_PX - 4) // 2 - 4) // 2
        self.hidden = nn.Linear(50 * side**2, FEATURES)
        self.output = nn.Linear(FEATURES, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 [B, 80, 80, 3] -> features [B, 500], scores [B]."""
        x = F.max_pool2d(F.relu(self.conv1(self.pixels(images))), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        features = F.relu(self.hidden(x.flatten(1)))
        return features, self.output(features).squeeze(1)
