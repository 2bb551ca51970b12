"""Who serves a model, from the many names that frameworks, gateways and people give to providers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["Hint", "is_known_provider", "provider_id", "read_provider"]

Kind = Literal["vendor", "dialect", "local", "unlisted"]


@dataclass(frozen=True, slots=True)
class Hint:
    """What a provider's name says.

    Attributes:
        id: The provider as the price data names it, or a name for one that the data does not list, or for the
            software that serves a local model; None where the name stands for any.
        kind: `vendor`: it serves what its list holds. `dialect`: a client that many servers understand, such
            as OpenAI's; its name is no proof of who answered. `local`: the caller's own hardware.
            `unlisted`: someone whose prices the data does not have.
    """

    id: str | None
    kind: Kind


_VENDORS: dict[str, tuple[str, ...]] = {
    "arcee": ("arcee", "arceeai"),
    "avian": ("avian",),
    "aws": (
        "aws", "awsbedrock", "amazon", "amazonbedrock", "bedrock", "bedrockchat", "bedrockconverse",
        "bedrockembedding", "bedrockembeddings", "bedrockllm", "bedrockmantle", "chatbedrock",
        "chatbedrockconverse", "anthropicbedrock", "chatanthropicbedrock",
    ),
    "azure": (
        "azure", "azureai", "azureaichatcompletionsmodel", "azureaicompletionsmodel", "azureaiinference",
        "azureaiopenaiapichatmodel", "azurechatopenai", "azureinference", "azureopenai",
        "azureopenaiembedding", "azureopenaiembeddings", "azureopenairesponses", "azuretext",
    ),
    "baseten": ("baseten",),
    "cerebras": ("cerebras", "chatcerebras"),
    "cloudflare": ("cloudflare", "cloudflareworkersai", "chatcloudflareworkersai", "workersai"),
    "cohere": ("cohere", "coherechat", "chatcohere", "cohereembedding", "cohereembeddings", "coherererank"),
    "cursor": ("cursor",),
    "databricks": ("databricks", "chatdatabricks", "databricksembeddings"),
    "deepseek": ("deepseek", "chatdeepseek"),
    "doubleword": ("doubleword",),
    "elevenlabs": ("elevenlabs",),
    "fireworks": ("fireworks", "fireworksai", "chatfireworks", "fireworksembedding", "fireworksembeddings"),
    "github-copilot": ("copilot", "githubcopilot"),
    "google": (
        "google", "googleai", "googleaistudio", "googleanthropicvertex", "googlegemini", "googlegenai",
        "googlegenaiembedding", "googlegenerativeai", "googlegenerativeaiembeddings", "googlevertex",
        "googlevertexai", "gemini", "geminiembedding", "chatgooglegenerativeai", "chatvertexai",
        "chatanthropicvertex", "anthropicvertex", "vertex", "vertexai", "vertexaibeta",
        "vertexaianthropicmodels", "vertexailanguagemodels", "vertexaivisionmodels",
        "vertexaiembeddingmodels", "vertexaiembeddings", "vertexaimistralmodels", "vertextextembedding",
    ),
    "groq": ("groq", "chatgroq"),
    "meta": ("meta",),
    "minimax": ("minimax", "chatminimax"),
    "mistral": ("mistral", "mistralai", "chatmistralai", "mistralaiembedding", "mistralaiembeddings"),
    "modal": ("modal",),
    "moonshotai": ("moonshotai", "moonshot", "chatmoonshot", "kimi"),
    "novita": ("novita", "novitaai"),
    "openrouter": ("openrouter", "chatopenrouter"),
    "ovhcloud": ("ovhcloud",),
    "perplexity": ("perplexity", "perplexityai", "chatperplexity"),
    "quicksilverpro": ("quicksilverpro",),
    "together": ("together", "togetherai", "togetherllm", "chattogether", "togetherembedding"),
    "typesafe": ("typesafe",),
    "voyageai": ("voyageai", "voyage", "voyageaiembeddings", "voyageembedding"),
    "x-ai": ("xai", "chatxai", "grok"),
    "zai": ("zai", "zaiglobal"),
    "zhipuai": ("zhipuai", "zhipu", "chatzhipuai", "bigmodel"),
    "huggingface_together": ("huggingfacetogether",),
    "huggingface_novita": ("huggingfacenovita",),
    "huggingface_nebius": ("huggingfacenebius",),
    "huggingface_groq": ("huggingfacegroq",),
    "huggingface_cerebras": ("huggingfacecerebras",),
    "huggingface_fireworks-ai": ("huggingfacefireworksai",),
    "huggingface_hyperbolic": ("huggingfacehyperbolic",),
    "huggingface_nscale": ("huggingfacenscale",),
    "huggingface_ovhcloud": ("huggingfaceovhcloud",),
    "huggingface_publicai": ("huggingfacepublicai",),
    "huggingface_sambanova": ("huggingfacesambanova",),
    "openai-decisions": ("openaidecisions",),
}  # fmt: skip
_DIALECTS: dict[str, tuple[str, ...]] = {
    "openai": (
        "openai", "baseopenai", "chatopenai", "openaichat", "openaicompletion", "openaiembedding",
        "openaiembeddings", "openairesponses", "textcompletionopenai",
    ),
    "anthropic": ("anthropic", "chatanthropic", "anthropicllm", "anthropictext"),
}  # fmt: skip
_ANYONE = (
    "openailike", "openailikeresponses", "openaicompatible", "customopenai", "litellm", "litellmproxy",
    "litellmrouter", "chatlitellm", "chatlitellmrouter", "langchain", "langchainllm", "portkey", "helicone",
)  # fmt: skip
_LOCAL: dict[str, tuple[str, ...]] = {
    "ollama": ("ollama", "ollamachat", "chatollama", "ollamallm", "ollamaembedding", "ollamaembeddings"),
    "vllm": ("vllm", "vllmopenai", "vllmserver", "hostedvllm"),
    "llama_cpp": ("llamacpp", "chatllamacpp", "llamacppembeddings"),
    "huggingface_local": (
        "huggingfacepipeline", "huggingfacellm", "huggingfaceembedding", "huggingfaceembeddings",
    ),
    "tgi": ("tgi", "textgenerationinference"),
    "mlx": ("mlx", "mlxpipeline", "chatmlx"),
    "sagemaker": ("sagemaker", "sagemakerchat", "sagemakerendpoint"),
    **{
        name: (name,)
        for name in (
            "ctransformers", "dockermodelrunner", "gpt4all", "ipexllm", "lemonade", "llamafile", "lmstudio",
            "local", "localai", "oobabooga", "openllm", "sglang", "triton", "xinference",
        )
    },
}  # fmt: skip
_UNLISTED = (
    "ai21", "ai21chat", "aimlapi", "alephalpha", "anyscale", "baichuan", "clarifai", "chatnvidia",
    "chathuggingface", "dashscope", "deepinfra", "featherlessai", "friendli", "friendliai", "galadriel",
    "gigachat", "gradient", "huggingface", "huggingfaceendpoint", "huggingfaceinferenceapi", "hunyuan",
    "hyperbolic", "ibm", "inflection", "jina", "jinaai", "jinaembedding", "lambdaai", "llamaapi", "maritalk",
    "nebius", "nlpcloud", "nscale", "nvidia", "nvidianim", "oci", "petals", "predibase", "qianfan", "qwen",
    "reka", "rekallm", "replicate", "sambanova", "sambanovacloud", "siliconflow", "snowflake", "tongyi",
    "upstage", "volcengine", "watsonx", "watsonxllm", "writer", "yandexgpt", "yi",
)  # fmt: skip

_HINTS: dict[str, Hint] = {
    **{name: Hint(name, "unlisted") for name in _UNLISTED},
    **{name: Hint(server, "local") for server, names in _LOCAL.items() for name in names},
    **{name: Hint(None, "dialect") for name in _ANYONE},
    **{name: Hint(vendor, "dialect") for vendor, names in _DIALECTS.items() for name in names},
    **{name: Hint(vendor, "vendor") for vendor, names in _VENDORS.items() for name in names},
}
_NOISE = re.compile(r"[^a-z0-9]+")


def read_provider(name: str) -> Hint | None:
    """Return what a provider's name says; None for a name that is not known here.

    Case, dashes, dots and underscores do not matter, so `ChatOpenAI`, `azure_openai`, `x-ai` are read alike.
    """
    return _HINTS.get(_NOISE.sub("", name.lower()))


def is_known_provider(name: str) -> bool:
    """Tell whether a name is one that a provider, gateway or client is known by.

    Frameworks make up a name from the class of a model that does not state its provider; such a name says
    nothing about who answers, and is better left out than passed as a provider.
    """
    return read_provider(name) is not None


def provider_id(name: str) -> str:
    """Return the provider as the price data names it, or the name in lower case where the data has none."""
    hint = read_provider(name)
    return hint.id if hint is not None and hint.id is not None else name.strip().lower()
