/* words.h - the small world of the demo's stories: lists of words, and plots. A plot is sentences
 * in order, each with its variants; {word} is a draw from a list that stays the same through the
 * story, {word2} another one from the same list; a capital makes a capital. "a" becomes "an" and an
 * s behind {word} its plural. {they}, {them} and {their} are the hero's. */
#ifndef DEMO_WORDS_H
#define DEMO_WORDS_H

#include <stddef.h>

/* Every other one is a girl. */
static const char *const names[] = {
    "Mia",   "Tom",   "Ada",   "Ben",   "Lena",  "Max",  "Ida",    "Paul", "Rosa", "Finn",  "Nora",
    "Emil",  "Clara", "Jonas", "Greta", "Oscar", "Lucy", "Hugo",   "Alma", "Leo",  "Frida", "Anton",
    "Marie", "Felix", "Hanna", "Karl",  "Wilma", "Otto", "Stella", "Sam",  "Elsa", "Theo",  "Vera",
    "Bruno", "Dora",  "Ivan",  "Rita",  "Noah",  "Olga", "Peter",  NULL};

static const char *const animals[] = {
    "fox",    "owl",    "hedgehog", "goose",  "goat",  "badger", "cat",  "mouse",    "donkey",
    "crow",   "rabbit", "frog",     "turtle", "dog",   "pony",   "duck", "squirrel", "heron",
    "beaver", "mole",   "sheep",    "otter",  "robin", "bear",   NULL};
static const char *const adjectives[] = {"little",  "old",    "clever", "shy",    "cheerful",
                                         "sleepy",  "brave",  "hungry", "gentle", "proud",
                                         "curious", "quiet",  "busy",   "tired",  "grumpy",
                                         "kind",    "lonely", "funny",  NULL};
static const char *const places[] = {"hill",   "river",   "forest", "harbour", "mill",
                                     "meadow", "market",  "bridge", "village", "lake",
                                     "garden", "station", "castle", "beach",   "school",
                                     "farm",   "tower",   "island", NULL};
static const char *const weathers[] = {"sunny",  "rainy", "windy", "cold",   "foggy",
                                       "warm",   "snowy", "grey",  "stormy", "frosty",
                                       "bright", "hot",   NULL};
static const char *const times[] = {"morning", "afternoon", "evening", "Sunday",  "Monday",
                                    "day",     "Friday",    "night",   "Tuesday", NULL};
static const char *const things[] = {
    "key",   "hat",  "ball",  "book",   "kite",   "bell",    "spoon",  "basket", "lamp",
    "scarf", "drum", "flute", "button", "coin",   "map",     "letter", "watch",  "whistle",
    "ring",  "shoe", "glove", "bucket", "pencil", "feather", NULL};
static const char *const furniture[] = {"bed",   "table",  "chair", "cupboard", "carpet",
                                        "stove", "bench",  "door",  "shelf",    "sofa",
                                        "box",   "stairs", NULL};
static const char *const foods[] = {"apple",  "pear",   "plum",    "carrot", "cake",   "pancake",
                                    "nut",    "cherry", "biscuit", "potato", "orange", "egg",
                                    "radish", "tomato", "onion",   "lemon",  NULL};
static const char *const plants[] = {"rose",    "bean",  "sunflower", "pumpkin",    "tulip",
                                     "cabbage", "oak",   "poppy",     "strawberry", "lily",
                                     "pea",     "daisy", NULL};
static const char *const crafts[] = {"boat", "sledge", "hut",    "cart", "nest",
                                     "raft", "swing",  "ladder", NULL};
static const char *const joys[] = {"happy", "glad", "proud", "thankful", "cheerful", NULL};
static const char *const sorrows[] = {"sad", "afraid", "angry", "worried", "unhappy", NULL};
static const char *const manners[] = {"softly", "loudly", "slowly", "politely", "kindly", NULL};

static const struct {
  const char *name;
  const char *const *words;
} lists[] = {{"name", names},     {"animal", animals},      {"adjective", adjectives},
             {"place", places},   {"weather", weathers},    {"time", times},
             {"thing", things},   {"furniture", furniture}, {"food", foods},
             {"plant", plants},   {"craft", crafts},        {"joy", joys},
             {"sorrow", sorrows}, {"manner", manners}};

enum { VARIANTS = 4, SENTENCES = 12 };
typedef const char *const plot[SENTENCES][VARIANTS];

static plot lost_and_found = {
    {"One {weather} {time} {Name} could not find {their} {thing}.",
     "{Name} had lost {their} {thing}. It was a {weather} {time}.",
     "\"Where is my {thing}?\" asked {Name} one {weather} {time}."},
    {"{They} looked under the {furniture} and behind the {furniture2}, but it was not there.",
     "It was not on the {furniture}, and it was not under the {furniture2}.",
     "{They} looked behind the {furniture}, where {they} found only dust."},
    {"Then a {adjective} {animal} came by.",
     "On the way to the {place} {they} met a {adjective} {animal}.",
     "A {adjective} {animal} sat at the door and listened."},
    {"\"Why are you so {sorrow}?\" asked the {animal}.",
     "\"What are you looking for?\" the {animal} asked {manner}."},
    {"\"I have lost my {thing},\" said {Name}.", "\"My {thing} is gone,\" {Name} answered."},
    {"\"I saw a {thing} at the {place},\" said the {animal}. \"Come with me!\"",
     "The {animal} thought for a while. \"You were at the {place} yesterday,\" it said."},
    {"They ran to the {place}, and there lay the {thing}.",
     "So they went to the {place}. There, in the grass, was the {thing}!",
     "At the {place} the {animal} found the {thing} at once."},
    {"{Name} was so {joy} that {they} gave the {animal} a {food}.",
     "\"Thank you,\" said {Name}, and they shared a {food}.",
     "Since that {time} the {thing} hangs by the door, and the {animal} comes for a {food} now and "
     "then."}};

static plot the_storm = {
    {"A {adjective} {animal} lived near the {place}.",
     "Near the {place} there lived a {adjective} {animal}."},
    {"Every {time} it visited {Name}, who always had a {food} for it.",
     "Its best friend was {Name}, who lived on the other side of the {place2}."},
    {"One {time2} the wind began to blow, and it rained and rained.",
     "Then came a {weather} {time2}, and a storm rose over the {place2}."},
    {"The water in the river rose, and the {animal} could not go home.",
     "The storm broke the roof of the {animal}, so it had no place to sleep.",
     "It grew dark, so the {animal} could not see the way."},
    {"{Name} heard it call and took {their} {thing} and ran out.",
     "\"Help!\" cried the {animal}. {Name} heard it and came at once."},
    {"\"Come in,\" said {Name}, \"it is warm by the stove.\"",
     "{They} carried the {animal} home and put it by the stove."},
    {"The {animal} ate a {food} and fell asleep, because it was so tired.",
     "They sat together, ate a {food} and waited until the storm was over."},
    {"In the morning the sun shone, and the {animal} was {joy}.",
     "When the rain stopped, {Name} mended the roof, and the {animal} helped {them}."}};

static plot the_craft = {
    {"{Name} wanted to build a {craft}.",
     "\"I will build a {craft},\" said {Name} one {weather} {time}."},
    {"{They} had wood and nails, but {they} had no {thing}.",
     "{They} worked from {time2} to night, but the {craft} was too heavy for one."},
    {"So {they} went to the {adjective} {animal} at the {place}.",
     "A {adjective} {animal} watched {them} from the {place}."},
    {"\"If you help me, you may use the {craft} too,\" said {Name}.",
     "\"Can you help me?\" asked {Name}. \"Of course,\" said the {animal}."},
    {"The {animal} held the wood, and {Name} used the hammer.",
     "First they cut the wood, then they drove in the nails, and then they painted it."},
    {"Soon the {craft} was ready.", "After three days the {craft} stood in front of the house.",
     "At last the {craft} was done, and it did not break."},
    {"{Name} and the {animal} were both {joy}.",
     "\"Two can do what one cannot,\" said the {animal}.",
     "They took it to the {place2} and did not come back before supper."}};

static plot the_garden = {
    {"In spring {Name} put a {plant} into the ground near the {place}.",
     "{Name} had a garden, and in it grew a {plant}."},
    {"Every {time} {they} gave it water.", "It needed water and light, and {Name} gave it both."},
    {"But one {time2} {they} forgot it, because {they} was at the {place2}.",
     "Then came two {weather} weeks without rain."},
    {"The leaves became yellow, and {Name} was {sorrow}.", "The {plant} hung its head."},
    {"\"It is thirsty,\" said the {adjective} {animal} from next door.",
     "A {adjective} {animal} saw it and called {Name}."},
    {"They carried water from the river until it was dark.",
     "{Name} fetched a bucket of water, and the {animal} fetched another."},
    {"The next morning the {plant} stood straight again.",
     "After some days the leaves were green again."},
    {"In summer it was as tall as {Name}, and in autumn they ate a {food} beside it.",
     "And when winter came, {Name} covered it with straw, so that it was not cold."}};

static plot the_race = {
    {"The {animal} and the {animal2} wanted to know who was faster.",
     "\"I am faster than you,\" said the {adjective} {animal} to the {animal2}."},
    {"{Name} drew a line on the ground. \"Run to the {place} and back!\" {they} said.",
     "They asked {Name}, who said: \"Whoever is first at the {place} gets this {food}.\""},
    {"The {animal} ran like the wind, but then it saw a {thing} and stopped to look at it.",
     "The {animal} was so sure that it lay down to sleep."},
    {"The {animal2} did not stop.", "The {animal2} walked on and on."},
    {"When the {animal} looked up, the {animal2} was already at the {place}.",
     "So the {animal2} was the first at the {place}."},
    {"\"You have won,\" said {Name}, and gave the {food} to the {animal2}.",
     "The {animal2} was {joy}, and it shared the {food} with the {animal}."},
    {"Since then the {animal} does not boast any more.",
     "\"Next time I will not stop,\" said the {animal}."}};

static plot the_night = {
    {"It was a {weather} night, and {Name} could not sleep.", "{Name} woke up in the night."},
    {"Something made a noise behind the {furniture}.", "There was a noise: knock, knock, knock."},
    {"{Name} was {sorrow} and hid under the blanket.", "{They} held {their} breath and listened."},
    {"Then {they} took the lamp and looked.", "\"Who is there?\" asked {Name} {manner}."},
    {"It was only a {adjective} {animal} with a {thing}.",
     "Behind the {furniture} sat a {animal}, wet and cold."},
    {"\"I could not find the way to the {place},\" it said.",
     "\"I smelled your {food},\" said the {animal}, \"and I was hungry.\""},
    {"{Name} laughed and gave it a {food}.",
     "So {Name} opened the door and showed it the way to the {place}."},
    {"Then both slept until it was light.",
     "After that {they} was never afraid of the dark again."}};

static plot *const plots[] = {&lost_and_found, &the_storm, &the_craft,
                              &the_garden,     &the_race,  &the_night};
enum { N_PLOTS = sizeof plots / sizeof *plots };

#endif
