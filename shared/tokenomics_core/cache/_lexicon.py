"""English words that change an answer: written for this project, read once, never learned."""

from __future__ import annotations

from itertools import combinations
from typing import Final

__all__ = [
    "CLOSED",
    "DATES",
    "IRREGULAR",
    "NEGATIONS",
    "NUMBER_WORDS",
    "OPPOSITES",
    "PREFIXES",
    "SCOPE",
    "STOP",
    "SYNONYMS",
    "UNITS",
    "stem",
]

STOP: Final = frozenset(
    """
    a an the this that these those there here it its itself i me my mine myself we us our ours you your yours he
    him his she her hers they them their theirs one who whom whose what which when where why how am is are was
    were be been being do does did doing done have has had having will would shall should can could may might
    must ought need of to in on at by for with about into through from up down out off over under and or but if
    so as than then too very just also some any such own same s t d ll ve re m please hi hello hey thanks thank
    tell know want like help let get got make go going ok okay kindly could wonder wondering possible way ways
    able really quite actually currently ever even get gets getting got there's hey yes well now um exactly
    anybody anyone somebody someone anything something thing things much many lot bit kind sort sure say says
    said told give gives given question answer explain mean because while per via else
    """.split()
)

NEGATIONS: Final = frozenset(
    "not no never none nothing nobody nowhere neither nor cannot unable hardly without impossible".split()
)

NUMBER_WORDS: Final = {
    word: str(value)
    for value, word in enumerate(
        "zero _ two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen".split()
    )
    if word != "_"
} | {
    "twenty": "20",
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "sixty": "60",
    "seventy": "70",
    "eighty": "80",
    "ninety": "90",
    "hundred": "100",
    "thousand": "1000",
    "million": "1000000",
    "billion": "1000000000",
    "dozen": "12",
    "single": "1",
    "double": "x2",
    "twice": "x2",
    "triple": "x3",
    "half": "1/2",
    "quarter": "1/4",
    "once": "x1",
}

DATES: Final = {
    **{word: word for word in "today tomorrow yesterday tonight weekend weekday noon midnight".split()},
    **{word: word for word in "morning afternoon evening night spring summer autumn winter".split()},
    "fall": "fall",
    "mornings": "morning",
    "evenings": "evening",
    "weekends": "weekend",
    "weekdays": "weekday",
    **{
        form: day
        for day, forms in {
            "mon": "monday mondays",
            "tue": "tuesday tuesdays tues",
            "wed": "wednesday wednesdays",
            "thu": "thursday thursdays thurs",
            "fri": "friday fridays",
            "sat": "saturday saturdays",
            "sun": "sunday sundays",
            "jan": "january jan",
            "feb": "february feb",
            "mar": "march",
            "apr": "april apr",
            "may": "may",
            "jun": "june",
            "jul": "july",
            "aug": "august aug",
            "sep": "september sept",
            "oct": "october oct",
            "nov": "november nov",
            "dec": "december dec",
            "christmas": "christmas xmas",
            "easter": "easter",
            "thanksgiving": "thanksgiving",
            "halloween": "halloween",
        }.items()
        for form in forms.split()
    },
}

UNITS: Final = {
    form: unit
    for unit, forms in {
        "mcg": "mcg µg microgram micrograms",
        "mg": "mg milligram milligrams",
        "g": "g gram grams gramme grammes",
        "kg": "kg kgs kilo kilos kilogram kilograms",
        "lb": "lb lbs",
        "oz": "oz ounce ounces",
        "ton": "ton tons tonne tonnes",
        "ml": "ml millilitre milliliter millilitres milliliters",
        "l": "litre liter litres liters",
        "gal": "gallon gallons",
        "cup": "cup cups",
        "tbsp": "tbsp tablespoon tablespoons",
        "tsp": "tsp teaspoon teaspoons",
        "mm": "mm millimetre millimeter millimetres millimeters",
        "cm": "cm centimetre centimeter centimetres centimeters",
        "m": "metre meter metres meters",
        "km": "km kilometre kilometer kilometres kilometers kms",
        "mi": "mile miles",
        "ft": "ft feet foot",
        "in": "inch inches",
        "yd": "yard yards",
        "kb": "kb kilobyte kilobytes",
        "mb": "mb megabyte megabytes",
        "gb": "gb gigabyte gigabytes",
        "tb": "tb terabyte terabytes",
        "mbps": "mbps",
        "gbps": "gbps",
        "celsius": "celsius centigrade",
        "fahrenheit": "fahrenheit",
        "kelvin": "kelvin",
        "usd": "$ usd dollar dollars buck bucks",
        "eur": "€ eur euro euros",
        "gbp": "£ gbp sterling",
        "jpy": "¥ jpy yen",
        "inr": "₹ inr rupee rupees",
        "cny": "cny rmb yuan",
        "cad": "cad",
        "aud": "aud",
        "chf": "chf franc francs",
        "btc": "btc bitcoin bitcoins",
        "eth": "eth ethereum ether",
        "cent": "cent cents",
        "pct": "% percent percentage",
        "ms": "ms millisecond milliseconds",
        "sec": "seconds secs sec",
        "min": "minute minutes mins",
        "hour": "hour hours hrs hr hourly",
        "day": "day days daily",
        "week": "week weeks weekly",
        "month": "month months monthly",
        "year": "year years yearly annual annually",
        "am": "am a.m",
        "pm": "pm p.m",
        "kw": "kw kilowatt kilowatts",
        "w": "watt watts",
        "kcal": "kcal calorie calories",
        "hz": "hz hertz",
        "ghz": "ghz",
        "mhz": "mhz",
    }.items()
    for form in forms.split()
}

SCOPE: Final = {
    form: word
    for word, forms in {
        "only": "only solely exclusively",
        "all": "all every entire whole everyone everything everybody each",
        "except": "except excluding excluded besides",
        "without": "without",
        "before": "before prior",
        "after": "after afterwards",
        "during": "during",
        "until": "until till",
        "since": "since",
        "both": "both",
        "either": "either",
        "first": "first 1st",
        "last": "last",
        "next": "next",
        "previous": "previous",
        "again": "again",
        "already": "already",
        "most": "most",
        "least": "least",
        "more": "more",
        "less": "less fewer",
        "maximum": "max maximum",
        "minimum": "min minimum",
        "always": "always",
        "sometimes": "sometimes",
        "instead": "instead",
        "permanently": "permanently permanent forever",
        "temporarily": "temporarily temporary",
        "between": "between",
        "above": "above",
        "below": "below beneath",
        "inside": "inside within",
        "outside": "outside",
        "non": "non",
        "almost": "almost nearly",
        "other": "other another",
        "both": "both",
        "if": "unless",
    }.items()
    for form in forms.split()
}

CLOSED: Final = {
    form: word
    for word, forms in {
        "from": "from",
        "to": "to into onto",
        "in": "in",
        "out": "out",
        "on": "on",
        "off": "off",
        "up": "up",
        "down": "down",
        "over": "over",
        "under": "under",
        "with": "with",
        "without": "without",
        "before": "before",
        "after": "after",
        "for": "for",
        "against": "against",
        "by": "by",
    }.items()
    for form in forms.split()
}

PREFIXES: Final = (
    "un",
    "in",
    "im",
    "ir",
    "il",
    "dis",
    "non",
    "de",
    "mis",
    "re",
    "anti",
    "over",
    "under",
    "post",
    "pre",
)

_OPPOSED: Final = """
increase decrease reduce lower drop | raise lower reduce cut | rise fall | grow shrink | gain lose | win lose
buy sell | purchase sell | bought sold | lend borrow | rent own buy | import export | income expense | credit debit
deposit withdraw withdrawal | pay receive | send receive | sender recipient | payer payee | transfer request
cheapest expensive priciest dearest | cheap expensive costly | cheaper pricier dearer | affordable expensive
more less fewer | most least | maximum minimum | max min | maximize minimize | maximise minimise | best worst
better worse | good bad | pro con | pros cons | advantage disadvantage | benefit drawback risk
highest lowest | high low | higher lower | upper lower | top bottom | above below | over under | up down
biggest smallest | largest smallest | big small | large small | bigger smaller | larger smaller | great little
longest shortest | long short | longer shorter | tallest shortest | tall short | wide narrow | deep shallow
oldest youngest newest | old new young | older younger newer | early late | earlier later | earliest latest
fastest slowest | fast slow | faster slower | quick slow | nearest farthest furthest | near far | closest farthest
open close shut | opened closed | lock unlock | enable disable | activate deactivate | turn_on turn_off | on off
start stop end finish | begin end | first last | launch quit | pause resume | play pause | mute unmute
add remove delete | create delete destroy | insert delete | install uninstall | attach detach | connect disconnect
subscribe unsubscribe | enroll unenroll drop | join leave | follow unfollow | block unblock | hide show | like dislike
upload download | save discard | import export | encrypt decrypt | compress decompress extract | zip unzip | push pull
upgrade downgrade | promote demote | hire fire | accept reject decline refuse | approve deny reject | allow forbid block
agree disagree | appear disappear | login logout | sign_in sign_out | log_in log_out | check_in check_out
arrive depart leave | arrival departure | arriving departing | inbound outbound | incoming outgoing | enter exit
entrance exit | inside outside | indoor outdoor | indoors outdoors | internal external | interior exterior
north south east west | northern southern eastern western | left right | front back | forward backward | in out
hot cold warm | heat cool | heating cooling | hotter colder | hottest coldest | wet dry | day night | sunrise sunset
male female | man woman | men women | boy girl | husband wife | son daughter | mother father | mom dad | brother sister
child adult | kid adult | children adults | parent child | teacher student | employer employee | landlord tenant | doctor patient
buyer seller | customer vendor supplier | lender borrower | winner loser | host guest | uncle aunt | king queen
public private | personal business corporate | legal illegal | safe dangerous unsafe | healthy unhealthy | true false
positive negative | valid invalid | active inactive | available unavailable | visible invisible hidden | manual automatic
required optional mandatory | free paid | full empty | full partial | domestic international foreign | national local
import export | input output | read write | encode decode | compile decompile | get set | get post put delete
synchronous asynchronous | sync async | static dynamic | serial parallel | client server | frontend backend | source target
row column | vertical horizontal | ascending descending | append prepend | mutable immutable | lossy lossless | merge split
breakfast lunch dinner supper brunch | weekday weekend | morning afternoon evening night | virtual physical | online offline
debit credit prepaid | visa mastercard amex | checking savings | gross net | fixed variable | long_term short_term | stock bond
refund replacement exchange | return exchange | cancel reschedule postpone confirm | renew cancel terminate | repair replace
ios android windows macos linux | iphone android | chrome firefox safari edge | java python javascript | mac windows pc
single multiple | one-way roundtrip | singular plural | ancient modern | past future | before after | previous next
freeze unfreeze thaw | melt freeze | boil freeze | inflate deflate | expand shrink collapse contract | tighten loosen | push pull
strong weak | hard soft | easy difficult hard | simple complex | thick thin | heavy light | rough smooth | sharp blunt
rich poor | asset liability | profit loss | surplus deficit | supply demand | bull bear | import export | wholesale retail
dead alive | birth death | born died | married divorced single | guilty innocent | war peace | love hate | friend enemy
vegan vegetarian | decaf regular | raw cooked | smoking nonsmoking | economy business | acid base | solid liquid gas
always never | often rarely seldom | everyone nobody | everything nothing | everywhere nowhere | temporary permanent
lowercase uppercase | odd even | input output | numerator denominator | inner outer | major minor | senior junior
offset onset | pass fail | succeed fail | success failure | win loss | attack defend | teach learn | ask answer
give take | bring take | come go | push pull | pick drop | load unload | pack unpack | dress undress | fold unfold
sunny rainy snowy cloudy | rain snow | red blue green yellow black white orange purple pink brown gray grey silver gold
cat dog | coffee tea | beer wine | chicken beef pork fish | car truck bus train bike plane flight | hotel flight
email phone sms text | username password pin | card account | chip stripe | passport licence license visa
"""

_SAME: Final = """
price cost fee charge pricing | cheap inexpensive affordable | purchase buy order | begin start commence | end finish
fix repair resolve solve troubleshoot | error problem issue trouble fault bug | quick fast rapid speedy | big large huge
movie film | picture photo image pic | photo photograph | phone telephone cellphone mobile smartphone | car automobile vehicle
job position | company firm business | buy acquire | delete remove erase | make create build | change modify alter edit update
update upgrade | cancel terminate | end terminate | refund reimbursement money-back | get receive obtain | obtain acquire
send transfer | transfer move | show display view see list | display view | find locate discover | choose select pick
require need | permit allow | allowed permitted | forbidden prohibited | help assist support | support assistance
reach contact call | contact phone | call ring phone | talk speak | speak chat | complain complaint | explain describe
say state | answer reply respond | response reply answer | use utilize employ | use usage | usage consumption
salary pay wage | address location | place location spot | shop store | parcel package shipment delivery | deliver ship
delivery shipping | arrive come | journey trip travel | holiday vacation | flight plane | airplane plane aircraft | ticket booking
book reserve | reservation booking | schedule timetable | appointment meeting | doctor physician | drug medicine medication
illness sickness disease | sick ill | child kid | kids children | person people | folk people | house home | flat apartment
money cash fund funds | cash money | bill invoice | receipt proof | account profile | login signin | sign_in log_in
sign log | password passcode passphrase | pin passcode | identity id identification | verify confirm validate authenticate
verification authentication confirmation | prove verify | steps procedure process | method approach technique | function method
folder directory | file document | documentation docs manual | remove uninstall | install setup | set configure setup
configuration settings config setting | setting option preference | default standard | limit cap restriction maximum | quota limit
duration length | long length | time hour | fast speed | size dimension | weight mass heavy | tall height | deep depth | old age
reason cause why | cause lead result | happen occur | meaning definition define | define definition meaning | difference distinction differ
compare comparison | distinguish difference | example instance sample | list enumerate | guide tutorial instruction walkthrough
track trace follow | tracking status | status state progress | late delayed overdue | delay postpone | wait pending | decline reject refuse
declined rejected refused | broken damaged defective faulty | damaged broken | lost missing misplaced | steal theft stolen
fraud scam | wrong incorrect mistaken erroneous | correct right accurate | twice double duplicate | extra additional | another additional
expire expiry expiration | valid good | validity expire | renew extend | amount sum quantity total | total sum | balance remaining
exchange convert conversion | rate price | abroad overseas foreign | country nation | international overseas | nearby near close
restaurant eatery | meal food dish | recipe cook prepare | weather forecast | temperature degrees | rain rainy raining | song music track
play listen | alarm wake | remind reminder | note memo | remember recall | email e-mail mail | message text | text sms
screen display monitor | laptop notebook | computer pc | internet wifi web online | website site page webpage | app application
program software | code program | run execute | crash freeze | boot start | restart reboot | reset restore | backup copy
close shut | stop halt end | quit exit | shut turn | unsubscribe opt-out | opt unsubscribe | subscribe signup register
register signup enroll | join enroll | membership subscription plan | plan package | discount deal offer coupon promo | offer promotion
insurance coverage cover | claim request | request ask | apply application | qualify eligible eligibility | eligible allowed
tax taxes | earn make | spend spending expense expenditure | save saving | invest investment | loan borrow | mortgage loan
teach learn | learn study | exam test | grade mark | university college school | pupil student | assignment homework
capital city | president leader | population inhabitants people | founder creator inventor | invent create | author writer | write author
star actor | win victory | game match | team side squad | score result | record best | car auto | fuel gas petrol gasoline
wash clean | dirty stain | hurt pain ache | headache migraine | tired fatigue | dose dosage | baby infant | dog puppy | cat kitten
customer client | employee staff worker personnel | boss manager supervisor | hire recruit | quit resign | fired dismissed | holiday pto leave
""".replace("\n", " | ")

IRREGULAR: Final = {
    form: base
    for base, forms in {
        "buy": "bought",
        "send": "sent",
        "pay": "paid",
        "lose": "lost",
        "find": "found",
        "take": "took taken taking",
        "write": "wrote written",
        "break": "broke broken",
        "steal": "stole stolen",
        "speak": "spoke spoken",
        "choose": "chose chosen",
        "begin": "began begun",
        "see": "saw seen",
        "come": "came coming",
        "think": "thought",
        "bring": "brought",
        "teach": "taught",
        "catch": "caught",
        "sell": "sold",
        "hold": "held",
        "keep": "kept",
        "leave": "left",
        "spend": "spent",
        "lend": "lent",
        "build": "built",
        "forget": "forgot forgotten forgetting",
        "eat": "ate eaten",
        "drive": "drove driven",
        "fly": "flew flown",
        "freeze": "froze frozen",
        "withdraw": "withdrew withdrawn",
        "run": "ran",
        "win": "won",
        "child": "children",
        "man": "men",
        "woman": "women",
        "person": "persons",
        "use": "using used",
        "die": "died dying",
    }.items()
    for form in forms.split()
}


def stem(word: str) -> str:
    """Cut inflection off an English word, the same way for all forms of most; other words stay."""
    word = IRREGULAR.get(word, word)
    if len(word) <= 3 or not word.isascii():
        return word
    if word.endswith("ies"):
        word = word[:-3] + "y"
    elif word.endswith(("sses", "shes", "ches", "xes", "zes")):
        word = word[:-2]
    elif word[-1] == "s" and word[-2] not in "sui":
        word = word[:-1]
    word = _without_participle(word)
    if len(word) > 3 and word[-1] == "e":
        word = word[:-1]
    return word[:-1] + "i" if len(word) > 2 and word[-1] == "y" else word


def _without_participle(word: str) -> str:
    for suffix in ("ing", "ed"):
        rest = word.removesuffix(suffix)
        if rest == word or len(rest) < 3 or not any(letter in "aeiouy" for letter in rest):
            continue
        doubled = rest[-1] == rest[-2] and rest[-1] not in "lsz"
        return rest[:-1] if doubled else rest
    return word


def _pairs(text: str) -> frozenset[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for group in text.replace("\n", " | ").split("|"):
        for one, other in combinations(dict.fromkeys(stem(word) for word in group.split()), 2):
            found |= {(one, other), (other, one)}
    return frozenset(found)


OPPOSITES: Final = _pairs(_OPPOSED)
SYNONYMS: Final = _pairs(_SAME) - OPPOSITES
