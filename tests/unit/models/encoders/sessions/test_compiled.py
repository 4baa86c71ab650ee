"""Compiled networks: the plain one where no compiler works, one shape, and a trial that leaves no trace."""

import logging
import subprocess

import pytest
import torch
from torch import nn

from models.encoders.sessions import compiled as compiled_module
from models.encoders.sessions.compiled import MixedLoss, compiled_or_plain


class Compiled(nn.Module):
    """Stands for a compiled module: counts the shapes it meets."""

    def __init__(self, module):
        super().__init__()
        self.module = module
        self.shapes = []

    def forward(self, x):
        self.shapes.append(tuple(x.shape))
        return self.module(x)


@pytest.fixture
def made(monkeypatch):
    """What was compiled."""
    found = []

    def compile_(module, *, dynamic):
        assert dynamic is False
        found.append(Compiled(module))
        return found[-1]

    monkeypatch.setattr(compiled_module.torch, "compile", compile_)
    return found


def refuse(error):
    def compile_(module, *, dynamic):
        def run(*_):
            raise error

        return run

    return compile_


def module_of():
    torch.manual_seed(0)
    return nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))


def loss_of(module, batch):
    return module(batch[0]).float().square().mean()


def mixed(module, compiles=True):
    return MixedLoss(module, loss_of, compiles=compiles, device_type="cpu")


@pytest.mark.parametrize(
    "error", [RuntimeError("no Triton"), ImportError("triton"), subprocess.CalledProcessError(1, "gcc"), OSError("cc")]
)
def test_the_plain_network_runs_where_no_compiler_works(monkeypatch, caplog, error):
    monkeypatch.setattr(compiled_module.torch, "compile", refuse(error))
    module = module_of()
    with caplog.at_level(logging.WARNING):
        assert compiled_or_plain(module, lambda network: network(torch.ones(2, 4))) is module
    assert "torch.compile does not work here" in caplog.text
    loss = mixed(module)(module, (torch.ones(8, 4),))
    loss.backward()
    assert module[2].weight.grad is not None


def test_batches_of_another_shape_go_through_the_module_as_it_is(made):
    module = module_of()
    compute = mixed(module)
    for rows in (8, 8, 5, 8, 3):
        assert torch.isfinite(compute(module, (torch.randn(rows, 4),)))
    assert len(made) == 1
    assert set(made[0].shapes) == {(8, 4)}


def test_nothing_is_compiled_for_batches_of_many_shapes(made):
    module = module_of()
    mixed(module, compiles=False)(module, (torch.ones(8, 4),))
    assert not made


def test_the_trial_leaves_no_trace(made):
    module, twin = module_of(), module_of()
    batch = (torch.randn(8, 4, generator=torch.Generator().manual_seed(1)),)
    torch.manual_seed(5)
    tried = mixed(module)(module, batch)
    torch.manual_seed(5)
    plain = mixed(twin, compiles=False)(twin, batch)
    assert torch.equal(tried, plain)
    assert all(torch.equal(one, other) for one, other in zip(module.buffers(), twin.buffers(), strict=True))
    assert all(parameter.grad is None for parameter in module.parameters())
