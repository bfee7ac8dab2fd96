"""English sentences for the synthetic voices: rich in p b m f v w; the held-out ones are kept apart."""

from __future__ import annotations

import re

import numpy as np


def _list(text: str, separator: str | None = None) -> list[str]:
    return text.split(separator)


NOUNS = _list(
    "mother bottle window paper mountain balloon voice garden picture problem robot shadow chicken "
    "village river thumb father baby apple pumpkin movie bubble summer winter bread mirror weather boat "
    "bishop measure vision judge church cough zebra king queen wolf thought cloud house map pump bomb "
    "lamp farm film proof wave wife bird park market family member number camera puppy bumblebee piano "
    "umbrella elephant dolphin forest tomato potato vegetable vampire valley velvet wagon weapon "
    "whistle wizard coffee office knife leaf roof sofa traffic muffin campus computer company compass "
    "empire temple symbol timber tiger teacher student doctor lawyer sailor soldier moment minute hour "
    "month year evening holiday birthday party message letter package passport journey airport train "
    "bridge harbour island ocean beach storm thunder lightning rainbow shower flower butterfly spider "
    "monkey donkey rabbit turtle lobster shrimp oyster mushroom pepper butter cheese sandwich supper "
    "breakfast dinner meal kitchen bathroom bedroom basement balcony chimney fireplace furniture "
    "cupboard pillow blanket towel soap shampoo jacket button pocket trousers shoe boot glove scarf "
    "watch jewel treasure castle tower palace museum theatre orchestra violin trumpet drum song rhythm "
    "poem novel chapter page word language accent grammar question answer method theory figure volume "
    "value budget profit payment invoice contract offer project vote village university"
)

ADJECTIVES = _list(
    "big purple warm happy small quiet broken beautiful smooth bright good awful simple strange blue "
    "very_old wooden busy important empty famous brave humble feeble fluffy wild woolly vivid vague "
    "favourite marvellous perfect powerful peaceful playful polite popular possible private public "
    "proper basic bitter better black brown bold cheap clever clumsy comfortable common complex curious "
    "dangerous deep different dirty early easy elegant enormous expensive fair fancy fast final fine "
    "foggy foreign fresh friendly frozen funny gentle golden grey heavy hollow honest hopeful huge "
    "hungry impossible invisible jolly jumpy kind large lazy lively lonely loud lovely lucky magic mild "
    "modern mysterious narrow nervous normal odd ordinary patient pink plain pleasant rapid rare ripe "
    "rough round royal sharp shiny shy silver sleepy slow soft sour spicy steep stubborn sweet tall "
    "thick thin tiny useful usual valuable violent visible weak wealthy weird wet wide wise wonderful "
    "young"
)

VERBS = _list(
    "moves brings watches follows needs opens makes remembers imagines believes breaks finds pushes "
    "wants leaves covers shows took forgot thought_about approves of_course_loves bought borrowed "
    "painted built published carved saved solved proved improved removed received measured promised "
    "performed compared prepared repaired climbed combed jumped_over bumped_into stepped_on wrapped_up "
    "washed waved_at wished_for avoided invented invited visited offered whispered_about worried_about "
    "shouted_at chose teaches touches reaches judges enjoys uses closes loses chased cooked looked_at "
    "took_over gave_up found_out asked_for thanks supports surprised swallowed"
)

NAMES = _list(
    "Bob Emma Peter Mary Victor Wendy Philip Fiona Abby Tom Pamela Bruno Eve Vivian Walter Maya Ben "
    "Sophie Frank Amy Joshua Charlotte Hugh Ruth Oliver George Lucy Yvonne"
)

PLACES = _list(
    "in the morning|with my best friend|for the whole week|under the yellow moon|over the bridge|"
    "near the river|behind the church|before breakfast|after the movie|without any problem|"
    "in front of the museum|on the way home|at half past five|between two farms|from above|"
    "because of the weather|above the village|from February to March|beyond the valley|by the window|"
    "at the beach|in the middle of November|with both thumbs|inside a paper box",
    "|",
)

ENDINGS = _list(
    ", because we may be home before five.|, maybe.|, and everybody was pleased.|, but nobody moved.|"
    ", if you would allow me.|, I am absolutely sure.|, which is very good news.|, as far as I know.|"
    ", and that is why we have to leave.|, whatever the boys may think.|, or so they say.|"
    ", wouldn't you agree?|; it took all my power.|, then we both went to sleep.|"
    ", so please be patient.|.|.|.|!|!|?",
    "|",
)

_QUESTIONS = _list(
    "Why did|Where does|How could|When will|Did|Would|May|Can|Whatever made",
    "|",
)

FIXED = _list(
    "Hello, how are you?|I would love to show you something new.|Please tell me more about that.|"
    "What a beautiful morning it is!|We both believe that's possible.|"
    "Could you open the window, please?|My name is Amber, and I am pleased to meet you.|"
    "Thank you very much for watching.|Oh wow, that was amazing!|"
    "Maybe you are right about the problem.|Why would you say that?|"
    "Let me think about it for a moment.|Yes.|No.|Maybe.|Of course!|Absolutely.|Very well.|Why not?|"
    "Who, me?|Well, perhaps.|I see.|Wow!|Hmm, probably.|Oops!|Good morning!|Good evening, everybody.|"
    "Welcome back, my friends.|What do you mean by that?|Not at all.|I'm afraid I don't know.|"
    "That would be fine by me.|Where have you been?|Give me five minutes.|Be careful!|It's up to you.|"
    "You must be joking!|Stop it, both of you!|How much is it?|Goodbye, and see you tomorrow.|"
    "Nothing much, what about you?|If we move fast, we may save the bumblebees.|"
    "Both boys jumped up and waved.|Fresh fish from the village shop.|"
    "She thought the measure was a mere formality.|Few people ever fly there.",
    "|",
)

_ARTICLES = _list("the my every this your our that his her another")

HELD_SENTENCES = (
    "Peter Piper picked a peck of pickled peppers.",
    "The boy above the bridge saw a huge wave moving away.",
    "Mama made marmalade for everyone, but Bob wanted apple pie.",
    "You should always choose the smooth road home.",
    "How far away are the old farmhouses, father?",
)
"""Never drawn by `draw_sentence`; only held-out takes speak them."""


def draw_sentence(rng: np.random.Generator) -> str:
    """One English sentence of 1 to about 18 words."""

    def pick(words: list[str]) -> str:
        return words[rng.integers(len(words))].replace("_", " ")

    def thing() -> str:
        article = pick(_ARTICLES)
        return (
            f"{article} {pick(ADJECTIVES)} {pick(NOUNS)}"
            if rng.random() < 0.6
            else f"{article} {pick(NOUNS)}"
        )

    kind = rng.random()
    if kind < 0.14:
        return pick(FIXED)
    if kind < 0.52:
        text = (
            f"{thing()} {pick(VERBS)} {thing()} {pick(PLACES) if rng.random() < 0.5 else ''}{pick(ENDINGS)}"
        )
    elif kind < 0.62:
        text = f"{pick(NAMES)} and {pick(NAMES)} {pick(VERBS)} {thing()}{pick(ENDINGS)}"
    elif kind < 0.76:
        opening = pick(_QUESTIONS)
        text = f"{opening} {thing()} become so {pick(ADJECTIVES)} {pick(PLACES)}?"
    elif kind < 0.84:
        text = f"What a {pick(ADJECTIVES)} {pick(NOUNS)}!"
    elif kind < 0.92:
        number = int(rng.integers(2, 10 ** int(rng.integers(2, 6))))
        text = f"{pick(NAMES)} counted {number} {pick(ADJECTIVES)} {pick(NOUNS)}s {pick(PLACES)}."
    else:
        text = f"{pick(ADJECTIVES)}, {pick(ADJECTIVES)} and {pick(ADJECTIVES)}: {thing()}."
    return text[0].upper() + re.sub(r" +([,.!?;])", r"\1", text[1:])
