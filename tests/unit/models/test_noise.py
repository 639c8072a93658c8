import pytest
import torch

from hpctrain.models.noise import AddNoise, ConcatenateNoise, SampleNoise, ZeroNoise


def test_sample_noise__independent_of_the_batch():
    like = torch.zeros(3, 5, 4, 4, 4)
    together = SampleNoise([11, 22, 33])
    alone = SampleNoise([22])
    for _ in range(2):
        assert torch.equal(together(like)[1:2], alone(like[:1]))


def test_sample_noise__repeats_and_goes_on():
    like = torch.zeros(1, 2, 3, 4, 5)
    first, again = SampleNoise([7]), SampleNoise([7])
    one, two = first(like), first(like)
    assert one.shape == (1, 1, 3, 4, 5)
    assert torch.equal(one, again(like))
    assert not torch.equal(one, two)


def test_sample_noise__standard_normal_whatever_the_precision():
    noise = SampleNoise([3])(torch.zeros(1, 1, 40, 40, 40, dtype=torch.bfloat16))
    assert noise.dtype == torch.float32
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.02


def test_sample_noise__leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    SampleNoise([1])(torch.zeros(1, 1, 4, 4, 4))
    assert torch.equal(before, torch.get_rng_state())


def test_sample_noise__refuses_another_batch_size():
    with pytest.raises(ValueError, match="2 seeds for a batch of 3"):
        SampleNoise([1, 2])(torch.zeros(3, 1, 2, 2, 2))


def test_add_noise__starts_as_identity_and_learns_a_scale():
    layer, x = AddNoise(4), torch.randn(2, 4, 3, 3, 3)
    assert torch.equal(layer(x, SampleNoise([1, 2])), x)
    layer.std.data[2] = 3.0
    change = layer(x, SampleNoise([1, 2])) - x
    expected = torch.zeros_like(x)
    expected[:, 2:3] = 3 * SampleNoise([1, 2])(x)
    torch.testing.assert_close(change, expected)


def test_concatenate_noise__appends_a_channel_in_the_same_precision():
    x = torch.randn(2, 4, 3, 3, 3).bfloat16()
    y = ConcatenateNoise()(x, ZeroNoise())
    assert y.dtype == torch.bfloat16
    assert torch.equal(y[:, :4], x)
    assert not y[:, 4].any()
