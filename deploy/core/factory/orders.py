"""What the operator's command and the factory's processes say to each other.

An order is one piece of work with TensorFlow, done in a process of its own: converters die by signal on
models that they do not understand, and nobody who only signs a release should wait for TensorFlow to load.
"""

from deploy.core.factory.advice.words import Describe, Described
from deploy.core.factory.conversion.words import Convert, Converted
from deploy.core.factory.evaluation.seen import Compare, Compared, Draw, Drawn, Evaluate, Evaluated
from deploy.core.factory.training.words import Optimize, Optimized, Train, Trained
from deploy.core.factory.words import Progress, Refusal

Order = Convert | Evaluate | Compare | Draw | Train | Optimize | Describe
Answer = Converted | Evaluated | Compared | Drawn | Trained | Optimized | Described
Said = Progress | Refusal | Converted | Evaluated | Compared | Drawn | Trained | Optimized | Described
"""Any number of `Progress`, then one `Refusal` or the answer that belongs to the order."""
