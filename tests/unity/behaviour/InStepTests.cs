using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using Fakes;
using Llia.Core;
using NUnit.Framework;
using UnityEngine;

namespace Llia.Tests
{
    /// <summary>Pictures and events follow the sound, by a clock in the test's hands.</summary>
    [TestFixture]
    internal sealed class InStepTests : Scene
    {
        private const int Piece = 640;
        private long m_ticks;

        private LliaAvatar OpenWithManualClock()
        {
            var avatar = OpenAvatar(true);
            m_ticks = 0;
            avatar.Session.Voice.Clock.Ticks = () => m_ticks;
            return avatar;
        }

        private void Publish(LliaAvatar avatar, long pts, float loudness)
        {
            Daemon.Echo(pts, Enumerable.Repeat(loudness, Piece).ToArray());
            var stamp = new byte[16];
            Buffer.BlockCopy(BitConverter.GetBytes(pts), 0, stamp, 0, 8);
            Daemon.Frame(pts, 2, 2, stamp, 0, "u");
            Wait.Until(() => avatar.Session.Frames.Received == pts / Piece + 1 && avatar.Session.Voice.Echo.End == pts + Piece);
        }

        [Test]
        public void ThePictureShownIsTheLatestNotAfterTheSound()
        {
            var avatar = OpenWithManualClock();
            var voice = avatar.Session.Voice;
            long next = 0;
            var checkedPictures = 0;
            for (var block = 0; block < 120; block++)
            {
                var nowS = block * (double)Engine.BlockSamples / 48000;
                while (next <= nowS * 16000)
                {
                    Publish(avatar, next, 0.5f);
                    next += Piece;
                }
                Engine.RenderAudio();
                Engine.Step(0.01);
                double playhead;
                if (voice.Clock.TryGetPlayhead(out playhead) && playhead > 2 * Piece)
                {
                    var shown = BitConverter.ToInt64(avatar.Texture.Uploaded, 0);
                    Assert.That(shown, Is.LessThanOrEqualTo(playhead), "block " + block);
                    Assert.That(shown, Is.GreaterThan(playhead - Piece), "block " + block);
                    checkedPictures++;
                }
                m_ticks += Stopwatch.Frequency * Engine.BlockSamples / 48000;
            }
            Assert.That(checkedPictures, Is.GreaterThan(80));
            Assert.AreEqual(0, voice.Underruns);
            int length, blocks;
            AudioSettings.GetDSPBufferSize(out length, out blocks);
            Assert.AreEqual((blocks - 1) * length * 1000.0 / 48000, voice.DeviceMs, 1e-9);
        }

        [Test]
        public void EventsComeWithTheirPicture()
        {
            var avatar = OpenWithManualClock();
            var told = new List<string>();
            avatar.SpeakingStarted += id => told.Add(id);
            avatar.OnSpeakingEnded.AddListener(id => told.Add("ended " + id));
            for (long pts = 0; pts < 20 * Piece; pts += Piece)
            {
                if (pts < 13 * Piece)
                {
                    Publish(avatar, pts, 0f);
                }
            }
            Engine.RenderAudio();
            Engine.Step(0);
            double playhead;
            Assert.IsTrue(avatar.Session.Voice.Clock.TryGetPlayhead(out playhead));
            var start = (long)playhead + 1600; // in 100 ms
            Daemon.Event("first_frame", "u", start);
            Daemon.Event("finished", "u", start + 800);
            Daemon.Statistics();
            for (var i = 0; i < 50; i++)
            {
                Engine.Step(0);
                System.Threading.Thread.Sleep(1);
            }
            Assert.IsEmpty(told, "not before it is heard");
            m_ticks += Stopwatch.Frequency * 95 / 1000;
            Engine.Step(0);
            Assert.IsEmpty(told);
            m_ticks += Stopwatch.Frequency * 6 / 1000; // between blocks the clock runs on, for 100 ms at most
            for (var i = 0; i < 4; i++)
            {
                Engine.RenderAudio();
            }
            Engine.Step(0);
            Assert.AreEqual("u", told.FirstOrDefault());
        }

        [Test]
        public void APausedListenerHoldsThePicture()
        {
            var avatar = OpenWithManualClock();
            Publish(avatar, 0, 0f);
            Engine.RenderAudio();
            AudioListener.pause = true;
            var shown = avatar.Shown.Shown;
            Publish(avatar, Piece, 0f);
            m_ticks += Stopwatch.Frequency * 10;
            Engine.Step(0.1);
            Assert.AreEqual(shown, avatar.Shown.Shown);
            AudioListener.pause = false;
            Until(() => avatar.Shown.Shown > shown, "goes on");
        }

        [Test]
        public void WithoutAVoiceTheNewestPictureIsShownAtOnce()
        {
            var avatar = OpenAvatar(false);
            Assert.IsFalse(Daemon.HasTopic("audio/a"));
            Daemon.Frame(64000, 2, 2, new byte[16]);
            Until(() => avatar.Shown.Shown == 1, "shown");
        }

        [Test]
        public void AnotherOutputRateIsTakenUp()
        {
            var avatar = OpenAvatar(true);
            AudioSettings.outputSampleRate = 44100;
            Engine.Step(0.01);
            Assert.AreEqual(44100, avatar.Session.Voice.OutputRateHz);
        }

        [Test]
        public void TheSourcePlaysOnesThatTheVoiceMultiplies()
        {
            var avatar = OpenAvatar(true);
            Assert.IsTrue(avatar.AudioSource.isPlaying && avatar.AudioSource.loop);
            avatar.AudioSource.volume = 0.5f;
            Daemon.Echo(0, Enumerable.Repeat(0.8f, 8000).ToArray());
            Wait.Until(() => avatar.Session.Voice.Echo.End == 8000);
            Assert.AreEqual(0.4f, Engine.RenderAudio().Last(), 0.01f);
            var source = avatar.AudioSource;
            avatar.enabled = false;
            Engine.Step(0);
            Assert.IsFalse(source.isPlaying);
            Assert.IsNull(source.gameObject.GetComponent<VoiceOutput>());
        }
    }
}
