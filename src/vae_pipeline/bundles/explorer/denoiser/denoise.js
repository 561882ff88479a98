// The page that takes noise away: from a recording that is given, or from the microphone while it hears.

import { colour, spectrum } from "spectrogram.js";
import { bundle, channels, denoise, hop, latency, open, rate, Stream } from "stream.js";
import { wav } from "wav.js";

const $ = (id) => document.getElementById(id);
const CHUNK_S = 0.032; // of the microphone, at least
const AT_ONCE_S = 1; // of it, at most
const SHOWN_S = 8; // of the microphone's last seconds
const AHEAD_S = 0.016; // half a frame of a spectrum
const LONGEST_S = 600; // of the microphone's recording

/** Sound is an array of its channels' samples. */
let noisy, clean, speaker, playing;

window.onunhandledrejection = ({ reason }) => say(`The model can't be run: ${reason.message ?? reason}`);
const say = (problem) => ($("problem").textContent = problem);
const milliseconds = (samples) => `${((1000 * samples) / rate).toFixed(0)} ms`;

const session = await open();
$("latency").textContent = milliseconds(latency);
$("file").onchange = () => take($("file").files[0]);
document.ondragover = (event) => event.preventDefault();
document.ondrop = (event) => {
  event.preventDefault();
  take(event.dataTransfer.files[0]);
};
$("mix").oninput = () => ($("share").textContent = `${Math.round(100 * $("mix").value)} %`);
$("hear-noisy").onclick = () => play(noisy);
$("hear-clean").onclick = () => play(mixed());
$("save").onclick = save;
$("microphone").onclick = listen;
$("opening").hidden = true;
$("denoiser").hidden = false;

/** Sound with as much of the noise as is to stay. */
const mixed = () => clean.map((samples, channel) => mix(samples, noisy[channel]));
const mix = (found, given) => found.map((value, at) => given[at] + Number($("mix").value) * (value - given[at]));

/** Denoise a recording's file. */
async function take(file) {
  if (!file) return;
  say("");
  try {
    noisy = await decoded(file);
  } catch (error) {
    return say(`${file.name} ${error.message}.`);
  }
  clean = undefined;
  able();
  drawWhole($("noisy"), noisy);
  $("state").textContent = `${file.name}: ${seconds(noisy).toFixed(1)} s`;
  $("done").hidden = false;
  const found = await denoise(session, noisy, (share) => ($("done").value = share));
  $("done").hidden = true;
  clean = found.clean;
  drawWhole($("clean"), clean);
  $("factor").textContent = (found.computed_s / seconds(noisy)).toFixed(3);
  able();
}

const seconds = (sound) => sound[0].length / rate;

function able() {
  $("hear-noisy").disabled = !noisy;
  $("hear-clean").disabled = $("save").disabled = !clean;
}

/** The samples of a file at the model's rate: the mean of its channels if the model has one. Throws for what is none. */
async function decoded(file) {
  const content = await file.arrayBuffer();
  const found = await new OfflineAudioContext(channels, 1, rate).decodeAudioData(content).catch(() => {
    throw new Error("isn't a recording that this browser reads: give a WAV, FLAC or Ogg file");
  });
  const given = Array.from({ length: found.numberOfChannels }, (_, channel) => found.getChannelData(channel));
  return fitted(given, (problem) => { throw new Error(problem); });
}

function fitted(given, refuse) {
  if (given.length === channels) return given;
  if (channels === 1) return [given[0].map((_, at) => given.reduce((sum, samples) => sum + samples[at] / given.length, 0))];
  if (given.length === 1) return Array.from({ length: channels }, () => given[0]);
  return refuse(`has ${given.length} channels, and the model takes ${channels}: give one that has as many`);
}

function column(canvas, at, sound, middle) {
  const levels = spectrum(sound[0], middle, rate), { height } = canvas;
  const pixels = new ImageData(1, height);
  for (let row = 0; row < height; row++)
    pixels.data.set([...colour(levels[Math.floor(((height - 1 - row) / height) * levels.length)]), 255], 4 * row);
  canvas.getContext("2d").putImageData(pixels, at, 0);
}

function drawWhole(canvas, sound) {
  for (let at = 0; at < canvas.width; at++) column(canvas, at, sound, Math.floor(((at + 0.5) * sound[0].length) / canvas.width));
}

function play(sound) {
  speaker ??= new AudioContext();
  speaker.resume();
  playing?.stop();
  const buffer = speaker.createBuffer(channels, sound[0].length, rate);
  sound.forEach((samples, channel) => buffer.copyToChannel(samples, channel));
  playing = new AudioBufferSourceNode(speaker, { buffer });
  playing.connect(speaker.destination);
  playing.start();
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([wav(mixed(), rate)], { type: "audio/wav" }));
  link.download = `${bundle.recipe}-clean.wav`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Denoise the microphone until asked again; what it heard stays as a recording. */
async function listen() {
  say("");
  $("microphone").onclick = null;
  let microphone;
  try {
    microphone = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: channels } });
  } catch (error) {
    $("microphone").onclick = listen;
    return say(`The microphone can't be had (${error.name}): allow it, or give a recording.`);
  }
  const context = new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
  await context.audioWorklet.addModule(import.meta.resolve("worklet.js"));
  const source = context.createMediaStreamSource(microphone), ear = new AudioWorkletNode(context, "hear", { numberOfOutputs: 0 });
  const mouth = new AudioWorkletNode(context, "say", { numberOfInputs: 0, outputChannelCount: [channels] });
  source.connect(ear);
  mouth.connect(context.destination);
  const step = hop * Math.ceil((CHUNK_S * rate) / hop), most = LONGEST_S * rate;
  const stream = new Stream(session), heard = recorder(most), said = recorder(most + latency + 2 * step);
  let waiting = [], count = 0, since, working, drawing;

  /** Denoise what waits: a chunk, or more where the computer is behind. */
  const work = async () => {
    while (count >= step) {
      const whole = Math.min(count - (count % step), hop * Math.floor(AT_ONCE_S * rate / hop)), began = since;
      const all = Array.from({ length: channels }, (_, channel) => joined(waiting.map((each) => each[channel]), count));
      waiting = [all.map((samples) => samples.subarray(whole))];
      [count, since] = [count - whole, performance.now()];
      const chunk = all.map((samples) => samples.slice(0, whole)), found = await stream.next(chunk);
      const late = heard.at(said.length - latency, whole, chunk); // what is said now was heard so long ago
      heard.add(chunk);
      said.add(found);
      if ($("aloud").checked) mouth.port.postMessage(found.map((samples, channel) => mix(samples, late[channel])));
      $("factor").textContent = (stream.computed_s / (heard.length / rate)).toFixed(3);
      $("stream-latency").textContent = `${((1000 * latency) / rate + performance.now() - began).toFixed(0)} ms`;
      drawing ??= requestAnimationFrame(() => {
        drawing = drawLast($("noisy"), heard);
        drawLast($("clean"), said);
      });
      if (heard.length >= most) stop();
      await new Promise((go) => setTimeout(go)); // what has been heard meanwhile comes first, and makes one chunk
    }
  };
  ear.port.onmessage = ({ data }) => {
    if (!count) since = performance.now() - (1000 * data[0].length) / rate;
    waiting.push(fitted(data, () => data.slice(0, channels)));
    count += data[0].length;
    working ??= work().finally(() => (working = undefined));
  };
  const stop = async () => {
    $("microphone").onclick = ear.port.onmessage = null;
    microphone.getTracks().forEach((track) => track.stop());
    await working;
    await context.close();
    $("microphone").textContent = "Denoise the microphone";
    $("microphone").onclick = listen;
    const rest = Array.from({ length: channels }, (_, channel) => joined(waiting.map((each) => each[channel]), count));
    heard.add(rest);
    if (!heard.length) return ($("state").textContent = "Nothing was heard.");
    const behind = hop * Math.ceil((count + latency) / hop); // silence, until all has been answered
    said.add(await stream.next(rest.map((samples) => joined([samples], behind))));
    noisy = heard.from(0, heard.length);
    clean = said.from(latency, latency + heard.length);
    able();
    [["noisy", noisy], ["clean", clean]].forEach(([id, sound]) => drawWhole($(id), sound));
    $("state").textContent = `${seconds(noisy).toFixed(1)} s of the microphone`;
  };
  $("microphone").textContent = "Stop";
  $("microphone").onclick = stop;
  $("state").textContent = "Listening …";
}

function joined(parts, length) {
  const all = new Float32Array(length);
  let at = 0;
  for (const part of parts) [at] = [at + part.length, all.set(part, at)];
  return all;
}

/** Sound that grows. */
function recorder(most) {
  const all = Array.from({ length: channels }, () => new Float32Array(most));
  return {
    length: 0,
    add(chunk) {
      chunk.forEach((samples, channel) => all[channel].set(samples.subarray(0, most - this.length), this.length));
      this.length = Math.min(most, this.length + chunk[0].length);
    },
    from: (first, last) => all.map((samples) => samples.slice(Math.max(0, first), Math.max(0, last))),
    /** Samples from a place, which may lie before the start, or in the chunk that comes next. */
    at(first, count, next) {
      return all.map((samples, channel) => Float32Array.from({ length: count }, (_, at) => {
        const place = first + at;
        return (place < this.length ? samples[place] : next[channel][place - this.length]) ?? 0;
      }));
    },
    whole: all,
    drawn: 0,
  };
}

/** Move the picture to the left by what has been added, and draw that. */
function drawLast(canvas, sound) {
  const each = (SHOWN_S * rate) / canvas.width, columns = Math.floor((sound.length - AHEAD_S * rate - sound.drawn) / each);
  if (columns < 1) return;
  canvas.getContext("2d").drawImage(canvas, -columns, 0);
  for (let at = 0; at < columns; at++) {
    sound.drawn += each;
    column(canvas, canvas.width - columns + at, [sound.whole[0]], Math.floor(sound.drawn));
  }
}
