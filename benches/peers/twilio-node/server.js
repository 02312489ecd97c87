// A voice server as Twilio's tutorial for Node builds it: fastify takes the media stream, `ws` opens one session a call.
//
// It is the program most people begin with, so it is the one to compare with. The telephone's own mu-law goes to the model
// and comes back untouched: no resampling, no pacing, no meter and no cap. A mark follows each piece of sound, and when the
// caller cuts in, what was queued is cleared and the model is told how much of it had been heard.
//
//   PORT=5050 MODEL_URL=ws://127.0.0.1:9090/v1/realtime OPENAI_API_KEY=any node server.js
import websocket from "@fastify/websocket";
import Fastify from "fastify";
import WebSocket from "ws";

const { PORT = "5050", MODEL_URL, MODEL = "gpt-realtime-2.1", OPENAI_API_KEY = "simulated" } = process.env;
if (!MODEL_URL) throw new Error("MODEL_URL is not set");

const SESSION = {
  type: "session.update",
  session: {
    type: "realtime",
    model: MODEL,
    output_modalities: ["audio"],
    instructions: "You answer the phone. Say that you are an automated assistant.",
    audio: {
      input: { format: { type: "audio/pcmu" }, turn_detection: { type: "server_vad" } },
      output: { format: { type: "audio/pcmu" }, voice: "marin" },
    },
  },
};

/** One call: what the caller's socket says goes to the model's, and the other way round. */
function carry(caller) {
  let streamSid = null;
  let now = 0; // the caller's clock, in milliseconds
  let answer = null; // the item that is being heard, and when it began
  let marks = []; // pieces of it that have not been heard yet

  const model = new WebSocket(`${MODEL_URL}?model=${MODEL}`, {
    headers: { Authorization: `Bearer ${OPENAI_API_KEY}` },
  });
  const toModel = (message) => model.readyState === WebSocket.OPEN && model.send(JSON.stringify(message));
  const toCaller = (message) => caller.send(JSON.stringify(message));

  const cutIn = () => {
    if (!answer || marks.length === 0) return;
    toModel({
      type: "conversation.item.truncate",
      item_id: answer.item,
      content_index: 0,
      audio_end_ms: Math.max(0, now - answer.began),
    });
    toCaller({ event: "clear", streamSid });
    answer = null;
    marks = [];
  };

  model.on("open", () => toModel(SESSION));
  model.on("message", (data) => {
    const message = JSON.parse(data);
    switch (message.type) {
      case "response.output_audio.delta":
        if (answer?.item !== message.item_id) answer = { item: message.item_id, began: now };
        toCaller({ event: "media", streamSid, media: { payload: message.delta } });
        marks.push("heard");
        toCaller({ event: "mark", streamSid, mark: { name: "heard" } });
        break;
      case "input_audio_buffer.speech_started":
        cutIn();
        break;
      case "error":
        console.error("the model:", message.error);
        break;
    }
  });
  caller.on("message", (data) => {
    const message = JSON.parse(data);
    switch (message.event) {
      case "media":
        now = Number(message.media.timestamp);
        toModel({ type: "input_audio_buffer.append", audio: message.media.payload });
        break;
      case "mark":
        marks.shift();
        break;
      case "start":
        streamSid = message.start.streamSid;
        now = 0;
        answer = null;
        break;
    }
  });
  caller.on("close", () => model.close());
  model.on("close", () => caller.close());
  model.on("error", (error) => console.error("the model's socket:", error.message));
}

const server = Fastify();
await server.register(websocket);
server.get("/media-stream", { websocket: true }, carry);
await server.listen({ port: Number(PORT), host: "127.0.0.1" });
console.log(`listening on ws://127.0.0.1:${PORT}/media-stream`);
