"""Sentiment by word lists.

Every positive word counts +1 and every negative word -1; a negation up to three words before it in the same sentence
turns its sign, so "not good" and "never a good day" count -1. With `net` the sum over a text of `words` words,

    x     = net / sqrt(words)          a long text needs more words of one feeling than a short one
    score = x / sqrt(1 + x * x)        squeezed into -1 … 1

and the label is positive from `THRESHOLD` up, negative from -`THRESHOLD` down, and neutral between. At 150 words that
asks for a net of three. Irony, quotation and "the service could have been better" are beyond a word list.
"""

import math
from typing import Literal, TypedDict

THRESHOLD = 0.2
NEGATION_REACH = 3


class Sentiment(TypedDict):
    """The label, and the score that led to it, from -1 to 1, rounded to four decimals."""

    label: Literal["positive", "negative", "neutral"]
    score: float


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


POSITIVE = _listed(
    """
    admire admirable admired adore adored affection affectionate amazing amusing applause appreciate appreciated
    astonishing attentive award awarded beautiful beautifully beloved best better blessed blessing bliss brave
    bravery brilliant calm celebrate celebrated celebration charm charmed charming cheer cheered cheerful cheering
    clever comfort comfortable comforting compliment confident congratulations courage courteous cosy dazzling
    delicious delight delighted delightful dependable deserved devoted eager ease easy effortless elegant encouraged
    encouragement encouraging enjoy enjoyable enjoyed enjoying enthusiasm enthusiastic excellent excited excitement
    exciting exquisite extraordinary fabulous fair faithful fantastic favourite flawless fond forgiving fortunate
    friendly fun funny generosity generous gentle gently genuine gift gifted glad gladly glorious glow glowing good
    gorgeous grace graceful gracious grateful gratitude great handsome happier happily happiness happy harmony
    heartfelt heartily helpful hero honest honour honoured hope hopeful hospitable humour ideal impressed impressive
    incredible inspired inspiring joy joyful joyous jubilant keen kindest kindly kindness laugh laughed laughing
    laughter lively love loved loveliest lovely loving loyal luck luckily lucky luminous luxurious magical
    magnificent marvel marvellous memorable merry miracle mouthwatering neat nice nimble outstanding passion
    patience patient peace peaceful perfect perfectly playful pleasant pleased pleasing pleasure polite praise
    praised precious pride privilege prize proud proudly radiant rejoice relaxed reliable relief relieved remarkable
    reward rewarded rewarding rich satisfied satisfying savour sincere skilful skill smile smiled smiling smooth
    smoothly solid sparkling spectacular splendid spotless stunning sturdy succeed success successful superb
    supported supportive sweetest tender tenderness terrific thank thanked thankful thanks thoughtful thrilled
    thriving treasure treasured triumph triumphant trust trusted trustworthy unforgettable uplifting useful victory
    vibrant warmest warmly warmth welcome welcomed welcoming win winner winning wisdom wise witty won wonder
    wonderful wonderfully wondrous worthwhile worthy yummy
    """
)

NEGATIVE = _listed(
    """
    abandoned absurd abuse abused ache aching afraid aggressive agony alarm alarming angrily angry anger anguish
    annoyed annoying anxiety anxious appalled appalling argued argument ashamed atrocious awful awkward bad badly
    bitter bitterly blame blamed bland bleak boring bored breakdown broke broken bruised bully careless cheap
    cheated clumsy collapse collapsed complain complained complaint complaints confused confusing contempt corrupt
    coward crash crashed cried crisis crude cruel cruelty cry crying curse damage damaged danger dangerous dead
    death debt deceived defeat defeated defective dejected desolate despair desperate despised destroyed destruction
    devastated devastating die died dirty disappointed disappointing disappointment disaster disastrous disgrace
    disgraceful disgust disgusted disgusting dishonest dismal dismay disorganised disorganized distress distressing
    doomed doubt dread dreaded dreadful dreary dull embarrassed embarrassing enemy error errors evil exhausted
    exhausting fail failed failing failure failures false fault faulty fear feared fearful filthy flawed flimsy
    foolish forgotten forlorn foul fraud frightened frightening frustrated frustrating frustration furious gloomy
    greasy greed grief grim grubby guilt guilty harm harmful harsh hate hated hatred heartbroken helpless hopeless
    horrible horrified horror hostile humiliated humiliating hurt ignored ill incompetent inedible infuriating
    injured injury insult insulted insulting irritated irritating jealous joyless leaked leaking lie lied lies limp
    lonely loneliness lose losing loss losses lost lousy mess messy miserable misery misleading mistake mistakes
    mould mouldy mourning nasty neglect neglected nervous nightmare noise noisy nonsense nuisance offended offensive
    ominous outrage overpriced pain painful pathetic pity pointless poison pollution poor poorly problem problems
    punished refused regret rejected resent resentment rotten rubbish rude rudely ruin ruined ruins rusty sad sadly
    sadness scandal scared scream screamed selfish shabby shame shameful shocked shocking shoddy sick sickening
    sloppy smashed sneering sob sobbed sorrow sorry sour spoiled stale starved stench stink stolen strained stress
    stubborn stupid suffer suffered suffering sullen tasteless tears tedious terrible terribly terrified threat
    threatened tired tiresome torn tragedy tragic trouble troubled ugly unacceptable unbearable undercooked
    uncomfortable unfair unfortunately unhappy unhelpful unpleasant unreliable unsafe unwelcome upset useless
    vandalised vile violence violent waste wasted weak weary weep wept wicked worried worry worse worst worthless
    wound wounded wreck wrecked wretched wrong wrongly
    """
)

_NEGATIONS = _listed("not no never none nothing nobody neither nor without hardly barely scarcely cannot")


def sentiment(sentences: list[list[str]]) -> Sentiment:
    """The sentiment of a text, given as the lower-case words of each sentence: `list[list[str]]`."""
    total = sum(map(len, sentences))
    if total == 0:
        return {"label": "neutral", "score": 0.0}
    x = sum(map(_net, sentences)) / math.sqrt(total)
    score = x / math.sqrt(1 + x * x)
    if score >= THRESHOLD:
        return {"label": "positive", "score": round(score, 4)}
    if score <= -THRESHOLD:
        return {"label": "negative", "score": round(score, 4)}
    return {"label": "neutral", "score": round(score, 4)}


def _net(sentence: list[str]) -> int:
    """Positive minus negative words of one sentence, negations applied."""
    net = 0
    for position, word in enumerate(sentence):
        weight = (word in POSITIVE) - (word in NEGATIVE)
        if weight:
            before = sentence[max(0, position - NEGATION_REACH) : position]
            net += -weight if any(map(_negates, before)) else weight
    return net


def _negates(word: str) -> bool:
    return word in _NEGATIONS or word.endswith("n't")
