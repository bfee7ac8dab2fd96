using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using Llia.Core;
using UnityEngine;

namespace Llia
{
    // What the avatar says and hears.
    public sealed partial class LliaAvatar
    {
        private const int MostClips = 64;

        private readonly Queue<WaitingClip> m_clips = new Queue<WaitingClip>();
        private Utterance m_stream;
        private Utterance m_hearing;
        private float[] m_mono = new float[4096];

        /// <summary>Says a clip, after what it says already. Its Load Type has to be other than Streaming.</summary>
        public void Speak(AudioClip clip)
        {
            SpeakAsync(clip, CancellationToken.None);
        }

        /// <summary>
        /// Says a clip; the task ends when it was shown to its end, or tells that it was cut off. Cancelling stops all that the
        /// avatar says. Never throws: what is wrong with the clip is told as an error, and the task tells Interrupted.
        /// </summary>
        public Task<SpeechEnd> SpeakAsync(AudioClip clip, CancellationToken cancellation)
        {
            var waiting = new WaitingClip(clip);
            if (clip == null || m_session == null || m_clips.Count >= MostClips)
            {
                TellError("clip", clip == null ? "there is no clip to speak"
                    : m_session == null ? "the avatar is switched off and cannot speak '" + clip.name + "'"
                    : MostClips + " clips wait to be loaded; speak '" + clip.name + "' again later");
                waiting.Done(SpeechEnd.Interrupted);
                return waiting.Task;
            }
            if (clip.loadState == AudioDataLoadState.Unloaded)
            {
                clip.LoadAudioData();
            }
            m_clips.Enqueue(waiting);
            SpeakLoadedClips();
            if (cancellation.CanBeCanceled)
            {
                StopWhenCancelled(waiting, cancellation);
            }
            return waiting.Task;
        }

        /// <summary>
        /// Says samples as they come, -1..1, interleaved. The first ones begin an utterance; <see cref="EndPush"/> ends it, or a
        /// second of silence. Main thread only.
        /// </summary>
        /// <param name="sampleRateHz">0: that of Unity's output.</param>
        /// <returns>How many were taken: all, unless too much waits already. Push the rest later.</returns>
        public int Push(float[] samples, int sampleRateHz = 0, int channels = 1)
        {
            return Push(samples, samples == null ? 0 : samples.Length, sampleRateHz, channels, false);
        }

        /// <summary>Says what is recorded now: where it cannot be shown in time it is skipped, so that no delay builds up.</summary>
        public int PushLive(float[] samples, int count, int sampleRateHz, int channels)
        {
            return Push(samples, count, sampleRateHz, channels, true);
        }

        /// <summary>The utterance that was pushed is complete.</summary>
        public void EndPush()
        {
            if (m_stream != null)
            {
                m_stream.End();
                m_stream = null;
            }
        }

        /// <summary>
        /// Lets the avatar hear what the other party says, -1..1, interleaved: it listens and looks attentive, and is silent.
        /// </summary>
        /// <returns>How many samples were taken.</returns>
        public int Hear(float[] samples, int count, int sampleRateHz, int channels)
        {
            if (m_session == null || !Begin(ref m_hearing, sampleRateHz, () => m_session.BeginHearing(Rate(sampleRateHz))))
            {
                return 0;
            }
            return m_hearing.Push(Mono(samples, count, channels), 0, count / channels) * channels;
        }

        /// <summary>The other party has ended.</summary>
        public void EndHearing()
        {
            if (m_hearing != null)
            {
                m_hearing.End();
                m_hearing = null;
            }
        }

        /// <summary>Barge-in: at once silent, and nothing of what it would have said follows.</summary>
        public void Stop()
        {
            while (m_clips.Count > 0)
            {
                m_clips.Dequeue().Done(SpeechEnd.Cancelled);
            }
            m_stream = null;
            if (m_session != null)
            {
                m_session.Stop();
            }
            EndSpeaking("", SpeechEnd.Cancelled);
        }

        /// <summary>Holds a state until <see cref="AvatarState.Auto"/>.</summary>
        public void SetState(AvatarState state)
        {
            if (m_session != null)
            {
                TellRefusal(m_session.SetStateAsync(state, CancellationToken.None));
            }
        }

        /// <summary>Sets the expression until the next one.</summary>
        /// <param name="preset">One of <see cref="LliaConnection.Expressions"/>; "" for none.</param>
        /// <param name="controls">Controls by name, laid over it; null for none.</param>
        public void SetExpression(string preset, IDictionary<string, float> controls = null)
        {
            if (m_session != null)
            {
                TellRefusal(m_session.SetExpressionAsync(preset, controls, CancellationToken.None));
            }
        }

        private int Push(float[] samples, int count, int sampleRateHz, int channels, bool live)
        {
            if (channels < 1 || samples == null || count < 0 || count > samples.Length || count % channels != 0)
            {
                throw new ArgumentException("samples have to be whole frames of their channels", "samples");
            }
            if (m_session == null || !Begin(ref m_stream, sampleRateHz, () => m_session.BeginSpeech(Rate(sampleRateHz), live)))
            {
                return 0;
            }
            return m_stream.Push(Mono(samples, count, channels), 0, count / channels) * channels;
        }

        /// <summary>Begins an utterance where none is open, or where its rate is another.</summary>
        private bool Begin(ref Utterance open, int sampleRateHz, Func<Utterance> begin)
        {
            if (open != null && !open.Completion.IsCompleted && open.SampleRateHz == Rate(sampleRateHz))
            {
                return true;
            }
            if (open != null)
            {
                open.End();
            }
            try
            {
                open = begin();
                return true;
            }
            catch (InvalidOperationException error)
            {
                open = null;
                TellError("queue_full", error.Message);
                return false;
            }
        }

        private static int Rate(int sampleRateHz)
        {
            return sampleRateHz == 0 ? AudioSettings.outputSampleRate : sampleRateHz;
        }

        private float[] Mono(float[] samples, int count, int channels)
        {
            if (channels == 1)
            {
                return samples;
            }
            if (m_mono.Length < count / channels)
            {
                m_mono = new float[count / channels];
            }
            Downmix.Average(samples, count, channels, m_mono);
            return m_mono;
        }

        /// <summary>Speaks the clips whose samples are in memory, in order.</summary>
        private void SpeakLoadedClips()
        {
            while (m_clips.Count > 0)
            {
                var waiting = m_clips.Peek();
                if (waiting.Clip != null && waiting.Clip.loadState == AudioDataLoadState.Loading)
                {
                    return;
                }
                m_clips.Dequeue();
                SpeakLoaded(waiting);
            }
        }

        private void SpeakLoaded(WaitingClip waiting)
        {
            var clip = waiting.Clip;
            string problem;
            var mono = ClipSamples.Read(clip, out problem);
            if (mono == null)
            {
                TellError("clip", problem);
                waiting.Done(SpeechEnd.Interrupted);
                return;
            }
            try
            {
                waiting.Follow(m_session.Speak(mono, clip.frequency));
            }
            catch (InvalidOperationException error)
            {
                TellError("queue_full", error.Message);
                waiting.Done(SpeechEnd.Interrupted);
            }
        }

        private async void StopWhenCancelled(WaitingClip waiting, CancellationToken cancellation)
        {
            var cancelled = new TaskCompletionSource<bool>();
            using (cancellation.Register(() => cancelled.TrySetResult(true)))
            {
                // Continues on the main thread, which Stop needs.
                await Task.WhenAny(waiting.Task, cancelled.Task);
            }
            if (!waiting.Task.IsCompleted && this != null)
            {
                Stop();
            }
        }

        private async void TellRefusal(Task asked)
        {
            try
            {
                await asked;
            }
            catch (LliaException error)
            {
                if (this != null && error.Code != "closed" && error.Code != "disconnected")
                {
                    TellError(error.Code, error.Message);
                }
            }
        }

        /// <summary>A clip whose samples may still be loading.</summary>
        private sealed class WaitingClip
        {
            private readonly TaskCompletionSource<SpeechEnd> m_completion = new TaskCompletionSource<SpeechEnd>();

            public readonly AudioClip Clip;

            public WaitingClip(AudioClip clip)
            {
                Clip = clip;
            }

            public Task<SpeechEnd> Task
            {
                get { return m_completion.Task; }
            }

            public void Done(SpeechEnd how)
            {
                m_completion.TrySetResult(how);
            }

            public async void Follow(Utterance utterance)
            {
                Done(await utterance.Completion);
            }
        }
    }
}
