"""How models refuse, and how people ask for what is true only now, in several languages."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["REFUSALS", "TIME_WORDS", "pattern_of"]

REFUSALS: Final[dict[str, str]] = {
    "en": r"(?:(?:i(?:'m| am) (?:very |really |truly |so )?)?(?:sorry|afraid)|(?:my )?apologies|"
    r"i apologi[sz]e|unfortunately|regrettably)\b[^.!?\n]{0,60}?\bi(?:'m| am)?\b[^.!?\n]{0,30}?"
    r"\b(?:can(?:no|')?t|can not|unable|not able|won't|will not|not allowed|not permitted|must decline)\b"
    r"|i (?:can(?:no|')?t|can not|am unable to|'m unable to|am not able to|won't|will not|must decline to|"
    r"decline to) (?:help|assist|answer|provide|discuss|share|comply|fulfil|fulfill|do that|comment|create|"
    r"generate|write|engage|continue|support|participate|respond)\b"
    r"|as an ai(?: language model| assistant)?,? i (?:can(?:no|')?t|can|don't|do|am|haven't|have)\b"
    r"|i(?:'m| am) not (?:comfortable|able|allowed|permitted)\b"
    r"|i (?:do not|don't) (?:know|have (?:access|(?:enough |any |that |the |this )*information))\b",
    "de": r"(?:es tut mir leid|tut mir leid|leider|entschuldigung)\b[^.!?\n]{0,60}?"
    r"\b(?:(?:kann|darf) ich|ich (?:kann|darf))\b[^.!?\n]{0,60}?\b(?:nicht|keine?n?)\b"
    r"|(?:ich )?(?:kann|darf) (?:ich )?(?:dir |ihnen |dabei |darauf |diese frage )*(?:leider )?nicht "
    r"(?:helfen|beantworten|antworten|weiterhelfen)\b|als ki(?:-\w+)? (?:kann|habe|bin) ich\b",
    "fr": r"(?:(?:je suis )?désolée?|malheureusement|je regrette)\b[^.!?\n]{0,80}?\bne (?:peux|puis)\b"
    r"|je ne (?:peux|puis) pas (?:vous |t')?(?:aider|répondre|fournir|assister)\b|en tant qu'ia\b",
    "es": r"(?:lo siento|lamentablemente|lo lamento|disculpa)\b[^.!?\n]{0,80}?\bno (?:puedo|podemos)\b"
    r"|no puedo (?:ayudar|responder|proporcionar|asistir)\w*|como (?:una )?(?:ia|inteligencia artificial)\b",
    "it": r"(?:mi dispiace|purtroppo|spiacente)\b[^.!?\n]{0,80}?\bnon (?:posso|possiamo)\b"
    r"|non posso (?:aiutar|risponder|fornir|assister)\w*|in quanto (?:ia|intelligenza artificiale)\b",
    "pt": r"(?:desculpe|sinto muito|lamento|infelizmente)\b[^.!?\n]{0,80}?\bnão (?:posso|podemos)\b"
    r"|não posso (?:ajudar|responder|fornecer)\w*|como (?:uma )?(?:ia|inteligência artificial)\b",
    "nl": r"(?:het spijt me|sorry|helaas)\b[^.!?\n]{0,60}?\b(?:kan ik|ik kan)\b[^.!?\n]{0,60}?"
    r"\b(?:niet|geen)\b",
    "pl": r"(?:przepraszam|przykro mi|niestety)\b[^.!?\n]{0,80}?\bnie mogę\b",
    "ru": r"(?:извините|простите|к сожалению)\b[^.!?\n]{0,80}?\bне могу\b|я не могу (?:помочь|ответить)\b",  # noqa: RUF001 - Cyrillic
    "zh": r"(?:抱歉|对不起|很遗憾)[^。！\n]{0,40}?(?:无法|不能|不可以)|作为(?:一个|一名)?(?:ai|人工智能)",  # noqa: RUF001 - Chinese marks
    "ja": r"申し訳(?:ありません|ございません)[^。\n]{0,40}?(?:できません|いたしかねます|お答え)"
    r"|お手伝いできません",
}
"""How the beginning of an answer reads that refuses, by language; matched where a sentence of the first 300
characters begins."""

TIME_WORDS: Final[dict[str, str]] = {
    "en": r"(?:today|tonight|tomorrow)(?:'s)?|right now|(?:just|as of|until|for) now|at the moment|"
    r"at present|currently|nowadays|these days|up[- ]to[- ]date|so far this|"
    r"(?:the )?(?:latest|newest|most recent)|breaking news|"
    r"(?:this|next|coming) (?:afternoon|evening|night|week|weekend|month|quarter|year|hour|"
    r"monday|tuesday|wednesday|thursday|friday|saturday|sunday)|"
    r"(?P<past>yesterday|this morning|(?:last|past) (?:night|week|weekend|month|quarter|year|hour))|"
    r"current (?:price|prices|time|date|weather|temperature|status|rate|rates|version|news|score|traffic|ceo|"
    r"president|prime minister|population|value|stock|market|exchange|season|situation)|"
    r"what(?:'s| is| are)? (?:the )?(?:time|date|day) (?:is it|now)|what (?:time|day) is it|"
    r"(?<!by )(?<!until )now(?=\s*[?.!]*$)",
    "de": r"heute|gestern|morgen(?: früh)?|übermorgen|vorgestern|jetzt|gerade eben|derzeit|zurzeit|zur zeit|"
    r"momentan|aktuell(?:e[mnrs]?)?|im moment|neueste[mnrs]?|diese(?:r|s|n)? (?:woche|monat|jahr)",
    "fr": r"aujourd'hui|hier|demain|maintenant|actuellement|en ce moment|ce soir|ce matin|"
    r"(?:derni(?:er|ère)s?) (?:nouvelles?|versions?|prix)|(?:prix|cours|météo|heure) actuel(?:le)?s?|"
    r"cette (?:semaine|année)|ce mois",
    "es": r"hoy|ayer|mañana|ahora(?: mismo)?|actualmente|en este momento|esta (?:noche|semana|tarde)|"
    r"este (?:mes|año)|más recientes?|últim[oa]s? (?:noticias?|versión|precio)|(?:precio|tiempo|hora) actual",
    "it": r"oggi|ieri|domani|adesso|attualmente|in questo momento|stasera|questa settimana|questo mese|"
    r"ultim[eoai] (?:notizie|versione|prezzo)|prezzo attuale",
    "pt": r"hoje|ontem|amanhã|agora|atualmente|neste momento|esta semana|este mês|últimas notícias|"
    r"preço atual",
    "nl": r"vandaag|gisteren|morgen|momenteel|op dit moment|deze week|deze maand|nieuwste",
    "ru": r"сегодня|вчера|завтра|сейчас|текущ(?:ий|ая|ее|ие)|последние новости",  # noqa: RUF001 - Cyrillic
    "zh": r"今天|昨天|明天|现在|目前|最新|当前|本周|这个月",
    "ja": r"今日|昨日|明日|現在|今週|今月|最新",
}
"""Words that make an answer true only for a while, by language; `past` are those that do so only in a
question (what did I spend last week) and not in a story (I found my card last week)."""

_NO_SPACES = frozenset({"zh", "ja"})


def pattern_of(phrases: dict[str, str], languages: tuple[str, ...]) -> re.Pattern[str]:
    """Compile the phrases of some languages into one pattern for whole words, whatever their case."""
    parts = [
        phrases[language] if language in _NO_SPACES else rf"(?<!\w)(?:{phrases[language]})(?!\w)"
        for language in languages
    ]
    return re.compile("|".join(f"(?:{part})" for part in parts), re.IGNORECASE)
