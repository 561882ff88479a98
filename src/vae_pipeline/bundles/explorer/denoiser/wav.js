// Sound as a .wav of 16 bits.

/** `sound` is an array of its channels' samples, which are clipped to [-1, 1]. */
export function wav(sound, rate) {
  const channels = sound.length, length = sound[0].length, bytes = 2 * channels * length;
  const view = new DataView(new ArrayBuffer(44 + bytes));
  const text = (at, letters) => [...letters].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + bytes, true);
  text(8, "WAVEfmt ");
  [16, rate, 2 * channels * rate].forEach((value, index) => view.setUint32([16, 24, 28][index], value, true));
  [1, channels, 2 * channels, 16].forEach((value, index) => view.setUint16([20, 22, 32, 34][index], value, true));
  text(36, "data");
  view.setUint32(40, bytes, true);
  for (let at = 0; at < length; at++)
    sound.forEach((samples, channel) => {
      const value = Math.min(1, Math.max(-1, samples[at]));
      view.setInt16(44 + 2 * (at * channels + channel), Math.max(-32768, Math.min(32767, Math.round(value * 32768))), true);
    });
  return view.buffer;
}
