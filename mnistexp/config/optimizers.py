"""The optimizers: one class per optimizer.

A class has the hyperparameters with Keras' defaults and their bounds, the default grid of its sweep, the equivalent
Keras class, and the update itself on tensors of any shape. Nothing here imports TensorFlow: an update is arithmetic on
the given tensors.

Source of the formulas: Keras 3 (`keras.optimizers`), whose documentation names the papers.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Union

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["OPTIMIZERS", "AnyOptimizer", "Optimizer"]

Share = Annotated[float, Field(ge=0, lt=1)]
ClosedShare = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, le=1000, description="Learning rate (of the first step, if it decays).")]
Decay = Annotated[
    ClosedShare, Field(description="Learning rate decay: at a step the rate is learning_rate / (1 + decay * step).")
]
MomentumShare = Annotated[Share, Field(description="Momentum: the share of the previous step added to the next one.")]
MEMORY = "Decay rate of the running mean of squared gradients."
Beta1 = Annotated[Share, Field(description="Decay rate of the running mean of gradients.")]
Beta2 = Annotated[Share, Field(description=MEMORY)]
Epsilon = Annotated[float, Field(gt=0, le=1, description="Added to the denominator for numerical stability.")]
Shrinking = Annotated[
    Share, Field(description="Weight decay: at each step the weights shrink by this times the learning rate.")
]
Grid = dict[str, tuple[float, ...]]
Tensor = Any  # a tf.Tensor, or anything with the same arithmetic
Step = tuple[Tensor, list[Tensor]]
Hyper = dict[str, Tensor]
Root = Callable[[Tensor], Tensor]

RATES = (0.001, 0.01, 0.1, 1.0)
BETAS: Grid = {"learning_rate": RATES, "beta_1": (0.5, 0.7, 0.9), "beta_2": (0.8, 0.9, 0.999)}


class Optimizer(BaseModel):
    """The optimizer and its hyperparameters.

    Subclasses add theirs, their grid and their update. With `decay` the learning rate of a step is
    `learning_rate / (1 + decay * step)`, step counting from 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: str
    learning_rate: Rate = 0.001
    decay: Decay = 0.0

    keras_class: ClassVar[str]
    keras_options: ClassVar[dict[str, Any]] = {}
    slots: ClassVar[tuple[float, ...]] = ()
    """The initial value of each state vector of the update; vectors have the shape of the parameters."""
    scalar_slots: ClassVar[tuple[float, ...]] = ()
    """The initial value of each state scalar; scalars follow the vectors."""
    grid: ClassVar[Grid]

    def hyperparameters(self) -> dict[str, float]:
        """Name to value of every hyperparameter of the update; all of them may be swept."""
        return self.model_dump(exclude={"name"})

    @staticmethod
    def update(h: Hyper, t: Tensor, p: Tensor, g: Tensor, slots: list[Tensor], sqrt: Root) -> Step:
        """One step: the new parameters and the new slots.

        `h` maps each hyperparameter to a float32 scalar, `learning_rate` already decayed, and `1-<name>` to its
        complement, subtracted before rounding to float32 as Keras does. `t` is the step, from 1, a float32 scalar; `p`,
        `g` and the vector slots are float32 tensors of one shape. `sqrt` is their square root: a power of 0.5 takes
        XLA several times longer. Raises `NotImplementedError` here: each optimizer has its own.
        """
        raise NotImplementedError


class Sgd(Optimizer):
    """Stochastic gradient descent without momentum."""

    name: Literal["sgd"] = "sgd"
    learning_rate: Rate = 0.01
    keras_class: ClassVar[str] = "SGD"
    grid: ClassVar[Grid] = {"learning_rate": RATES}

    @staticmethod
    def update(h: Hyper, t: Tensor, p: Tensor, g: Tensor, slots: list[Tensor], sqrt: Root) -> Step:
        return p - h["learning_rate"] * g, []


class Momentum(Optimizer):
    """SGD with classical momentum."""

    name: Literal["momentum"] = "momentum"
    learning_rate: Rate = 0.01
    momentum: MomentumShare = 0.9
    keras_class: ClassVar[str] = "SGD"
    slots: ClassVar[tuple[float, ...]] = (0.0,)
    grid: ClassVar[Grid] = {"learning_rate": RATES, "momentum": (0.5, 0.9, 0.99)}

    @staticmethod
    def update(h: Hyper, t: Tensor, p: Tensor, g: Tensor, slots: list[Tensor], sqrt: Root) -> Step:
        velocity = h["momentum"] * slots[0] - h["learning_rate"] * g
        return p + velocity, [velocity]


class Nesterov(Optimizer):
    """SGD with Nesterov momentum; with decay 1e-6 the assignment's default."""

    name: Literal["nesterov"] = "nesterov"
    learning_rate: Rate = 0.01
    momentum: MomentumShare = 0.9
    keras_class: ClassVar[str] = "SGD"
    keras_options: ClassVar[dict[str, Any]] = {"nesterov": True}
    slots: ClassVar[tuple[float, ...]] = (0.0,)
    grid: ClassVar[Grid] = {"learning_rate": RATES, "momentum": (0.5, 0.9, 0.99)}

    @staticmethod
    def update(h: Hyper, t: Tensor, p: Tensor, g: Tensor, slots: list[Tensor], sqrt: Root) -> Step:
        step = h["learning_rate"] * g
        velocity = h["momentum"] * slots[0] - step
        return p + (h["momentum"] * velocity - step), [velocity]


class Adagrad(Optimizer):
    """Adagrad: each parameter's rate falls with its summed squared gradients."""

    name: Literal["adagrad"] = "adagrad"
    epsilon: Epsilon = 1e-7
    keras_class: ClassVar[str] = "Adagrad"
    slots: ClassVar[tuple[float, ...]] = (0.1,)
    grid: ClassVar[Grid] = {"learning_rate": RATES}

    @staticmethod
    def update(h: Hyper, t: Tensor, p: Tensor, g: Tensor, slots: list[Tensor], sqrt: Root) -> Step:
        total = slots[0] + g * g
        return p - h["learning_rate"] * g / sqrt(total + h["epsilon"]), [total]


class RmsProp(Optimizer):
    """RMSprop: the gradient over the root of its running mean square."""

    name: Literal["rmsprop"] = "rmsprop"
    rho: Annotated[Share, Field(description=MEMORY)] = 0.9
    epsilon: Epsilon = 1e-7
    keras_class: ClassVar[str] = "RMSprop"
    slots: ClassVar[tuple[float, ...]] = (0.0,)
    grid: ClassVar[Grid] = {"learning_rate": RATES, "rho": (0.5, 0.9, 0.99)}

    @staticmethod
    def update(h: Hyper, t: Tensor, p: Tensor, g: Tensor, slots: list[Tensor], sqrt: Root) -> Step:
        v = h["rho"] * slots[0] + h["1-rho"] * (g * g)
        return p - h["learning_rate"] * g / sqrt(v + h["epsilon"]), [v]


class Adam(Optimizer):
    """Adam: bias-corrected running means of the gradient and of its square."""

    name: Literal["adam"] = "adam"
    beta_1: Beta1 = 0.9
    beta_2: Beta2 = 0.999
    epsilon: Epsilon = 1e-7
    keras_class: ClassVar[str] = "Adam"
    slots: ClassVar[tuple[float, ...]] = (0.0, 0.0)
    grid: ClassVar[Grid] = BETAS

    @staticmethod
    def update(h: Hyper, t: Tensor, p: Tensor, g: Tensor, slots: list[Tensor], sqrt: Root) -> Step:
        m = slots[0] + (g - slots[0]) * h["1-beta_1"]
        v = slots[1] + (g * g - slots[1]) * h["1-beta_2"]
        alpha = h["learning_rate"] * sqrt(1 - h["beta_2"] ** t) / (1 - h["beta_1"] ** t)
        return p - m * alpha / (sqrt(v) + h["epsilon"]), [m, v]


class AdamW(Optimizer):
    """Adam with decoupled weight decay."""

    name: Literal["adamw"] = "adamw"
    weight_decay: Shrinking = 0.004
    beta_1: Beta1 = 0.9
    beta_2: Beta2 = 0.999
    epsilon: Epsilon = 1e-7
    keras_class: ClassVar[str] = "AdamW"
    slots: ClassVar[tuple[float, ...]] = (0.0, 0.0)
    grid: ClassVar[Grid] = {"learning_rate": RATES, "weight_decay": (0.0, 0.004, 0.04), "beta_1": (0.5, 0.9)}

    @staticmethod
    def update(h: Hyper, t: Tensor, p: Tensor, g: Tensor, slots: list[Tensor], sqrt: Root) -> Step:
        return Adam.update(h, t, p - p * h["weight_decay"] * h["learning_rate"], g, slots, sqrt)


class Nadam(Optimizer):
    """Adam with Nesterov momentum, on the momentum schedule of Dozat (2015) that Keras uses."""

    name: Literal["nadam"] = "nadam"
    beta_1: Beta1 = 0.9
    beta_2: Beta2 = 0.999
    epsilon: Epsilon = 1e-7
    keras_class: ClassVar[str] = "Nadam"
    slots: ClassVar[tuple[float, ...]] = (0.0, 0.0)
    scalar_slots: ClassVar[tuple[float, ...]] = (1.0,)
    grid: ClassVar[Grid] = BETAS

    @staticmethod
    def update(h: Hyper, t: Tensor, p: Tensor, g: Tensor, slots: list[Tensor], sqrt: Root) -> Step:
        u_now = h["beta_1"] * (1 - 0.5 * 0.96**t)
        u_next = h["beta_1"] * (1 - 0.5 * 0.96 ** (t + 1))
        product = slots[2] * u_now
        # Keras subtracts here after rounding: 1 - 0.999 is 5e-5 larger than in Adam.
        m = slots[0] + (g - slots[0]) * (1 - h["beta_1"])
        v = slots[1] + (g * g - slots[1]) * (1 - h["beta_2"])
        m_hat = m * (u_next / (1 - product * u_next)) + g * ((1 - u_now) / (1 - product))
        v_hat = v / (1 - h["beta_2"] ** t)
        return p - m_hat * h["learning_rate"] / (sqrt(v_hat) + h["epsilon"]), [m, v, product]


class Adadelta(Optimizer):
    """Adadelta: steps scaled by its own recent steps. With rho 1 neither mean changes, which makes it SGD."""

    name: Literal["adadelta"] = "adadelta"
    rho: Annotated[ClosedShare, Field(description=MEMORY)] = 0.95
    epsilon: Epsilon = 1e-7
    keras_class: ClassVar[str] = "Adadelta"
    slots: ClassVar[tuple[float, ...]] = (0.0, 0.0)
    grid: ClassVar[Grid] = {"learning_rate": RATES, "rho": RATES}

    @staticmethod
    def update(h: Hyper, t: Tensor, p: Tensor, g: Tensor, slots: list[Tensor], sqrt: Root) -> Step:
        squares = h["rho"] * slots[0] + h["1-rho"] * (g * g)
        delta = sqrt(slots[1] + h["epsilon"]) * g / sqrt(squares + h["epsilon"])
        return p - h["learning_rate"] * delta, [squares, h["rho"] * slots[1] + h["1-rho"] * (delta * delta)]


OPTIMIZERS: dict[str, type[Optimizer]] = {
    entry.model_fields["name"].default: entry for entry in Optimizer.__subclasses__()
}
"""Name to class, in the order of this file."""

if TYPE_CHECKING:
    AnyOptimizer = Optimizer
else:
    AnyOptimizer = Annotated[Union[tuple(OPTIMIZERS.values())], Field(discriminator="name")]  # noqa: UP007 - a list known at run time
