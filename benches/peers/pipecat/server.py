"""A voice server as Pipecat's own guide for telephones builds it: one pipeline a call.

It does what Ringfence's bridge does with sound (the model speaks 24 kHz, the telephone 8 kHz mu-law), so of the peers it is
the one that does the same job. Nothing is taken away from it and nothing added: the transport for FastAPI, the serializer
for Twilio's media streams, the service for OpenAI's realtime models, and the pair that keeps the conversation.

    PORT=5060 MODEL_URL=ws://127.0.0.1:9090/v1/realtime OPENAI_API_KEY=any python server.py
"""

import json
import os
import sys

import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.openai.realtime.events import (
    AudioConfiguration,
    AudioInput,
    SessionProperties,
    TurnDetection,
)
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

logger.remove()
logger.add(sys.stderr, level="WARNING")

PORT = int(os.environ.get("PORT", "5060"))
MODEL_URL = os.environ["MODEL_URL"]
API_KEY = os.environ.get("OPENAI_API_KEY", "simulated")
INSTRUCTIONS = "You answer the phone. Say that you are an automated assistant."

app = FastAPI()


async def first_words(websocket: WebSocket) -> dict:
    """What the carrier says about the call before any sound: `connected`, then `start`."""
    while True:
        message = json.loads(await websocket.receive_text())
        if message["event"] == "start":
            return message["start"]


@app.websocket("/media-stream")
async def carry(websocket: WebSocket):
    await websocket.accept()
    start = await first_words(websocket)
    serializer = TwilioFrameSerializer(
        stream_sid=start["streamSid"],
        call_sid=start.get("callSid"),
        # No carrier is there whose REST API could be asked to hang up.
        params=TwilioFrameSerializer.InputParams(auto_hang_up=False),
    )
    transport = FastAPIWebsocketTransport(
        websocket=websocket,
        params=FastAPIWebsocketParams(
            audio_in_enabled=True, audio_out_enabled=True, serializer=serializer
        ),
    )
    model = OpenAIRealtimeLLMService(
        api_key=API_KEY,
        base_url=MODEL_URL,
        settings=OpenAIRealtimeLLMService.Settings(
            system_instruction=INSTRUCTIONS,
            session_properties=SessionProperties(
                audio=AudioConfiguration(input=AudioInput(turn_detection=TurnDetection()))
            ),
        ),
    )
    memory = LLMContextAggregatorPair(LLMContext())
    worker = PipelineWorker(
        Pipeline([transport.input(), memory.user(), model, transport.output(), memory.assistant()]),
        params=PipelineParams(audio_in_sample_rate=8000, audio_out_sample_rate=8000),
    )

    @transport.event_handler("on_client_connected")
    async def greet(_transport, _websocket):
        await worker.queue_frames([LLMRunFrame()])

    @transport.event_handler("on_client_disconnected")
    async def hang_up(_transport, _websocket):
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    print(f"listening on ws://127.0.0.1:{PORT}/media-stream", flush=True)
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
