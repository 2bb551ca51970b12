"""A web service with many users at once: each request is attributed, the ledger is shared.

python examples/fastapi_service.py                # asks itself 20 questions at once and prints the bill
python examples/fastapi_service.py --serve 8000   # serves until stopped
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI, Header
from langchain_openai import ChatOpenAI

from examples.stand_in import API_KEY, open_provider, parse_arguments
from langchain_tokenomics import CostCallbackHandler, attribution
from tokenomics_core.ledger import SQLiteLedger

GUIDE = "The library opens at nine. Books are lent for four weeks. Renewals are free twice."


def build(base_url: str, model_name: str, ledger: SQLiteLedger) -> FastAPI:
    cost = CostCallbackHandler(ledger)
    model = ChatOpenAI(model=model_name, base_url=base_url, api_key=API_KEY)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await cost.aflush()

    app = FastAPI(lifespan=lifespan)

    @app.get("/ask")
    async def ask(question: str, x_user: str = Header()) -> dict[str, str]:
        with attribution(user=x_user, feature="ask"):
            answer = await model.ainvoke([("system", GUIDE), ("human", question)], {"callbacks": [cost]})
        return {"answer": answer.text}

    @app.get("/cost")
    async def spent() -> dict[str, str]:
        await cost.aflush()
        by_user = await asyncio.to_thread(ledger.by, "user")
        return {user: str(usd) for user, usd in by_user.items()}

    return app


async def ask_twenty(app: FastAPI) -> dict[str, str]:
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://app") as web,
    ):
        answers = await asyncio.gather(
            *(
                web.get(
                    "/ask", params={"question": "When does it open?"}, headers={"x-user": f"user-{i % 4}"}
                )
                for i in range(20)
            )
        )
        assert all(answer.status_code == 200 for answer in answers)
        return (await web.get("/cost")).json()


def main() -> None:
    arguments = parse_arguments(__doc__, serve=True)
    with (
        open_provider(arguments) as base_url,
        tempfile.TemporaryDirectory() as folder,
        SQLiteLedger(Path(folder) / "costs.db") as ledger,
    ):
        app = build(base_url, arguments.model, ledger)
        if arguments.serve:
            uvicorn.run(app, host="127.0.0.1", port=arguments.serve)
            return
        for user, usd in sorted(asyncio.run(ask_twenty(app)).items()):
            print(f"{user}: ${usd}")
        print(f"all: ${ledger.total()} in {ledger.totals().calls} calls")


if __name__ == "__main__":
    main()
