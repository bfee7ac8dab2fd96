using System;
using System.Diagnostics;
using System.Linq;
using System.Threading;
using Fakes;
using Llia.Core;
using NUnit.Framework;
using UnityEngine;
using UnityEngine.UI;

namespace Llia.Tests
{
    /// <summary>
    /// The whole way in real time: a component in the fakes' scene, the real daemon at LLIA_CONTROL with the pack of
    /// tests/toy_pack.py, whose pictures are the redder the louder the sound heard with them.
    /// </summary>
    [TestFixture]
    internal sealed class RealDaemonTests
    {
        private readonly Stopwatch m_watch = new Stopwatch();
        private long m_blocks;
        private float m_loudest;
        private double m_reddest;

        [SetUp]
        public void BeginScene()
        {
            Engine.Begin();
            m_watch.Restart();
            m_blocks = 0;
            m_loudest = 0;
            m_reddest = 0;
        }

        [TearDown]
        public void EndScene()
        {
            Engine.End();
        }

        /// <summary>Plays the game, and its sound at the sound card's pace.</summary>
        private void Until(Func<bool> happened, LliaAvatar avatar, int mostS = 60)
        {
            var end = m_watch.Elapsed.TotalSeconds + mostS;
            while (!happened())
            {
                Assert.That(m_watch.Elapsed.TotalSeconds, Is.LessThan(end), "log: " + string.Join(" | ", Engine.Log.ToArray()));
                Engine.Step(0.01);
                for (; m_blocks < m_watch.Elapsed.TotalSeconds * 48000 / Engine.BlockSamples; m_blocks++)
                {
                    m_loudest = Math.Max(m_loudest, Engine.RenderAudio().Max());
                }
                if (avatar.Texture != null)
                {
                    m_reddest = Math.Max(m_reddest, Redness(avatar.Texture.Uploaded));
                }
                Thread.Sleep(2);
            }
        }

        private static double Redness(byte[] pixels)
        {
            return pixels.Where((value, index) => index % 4 == 0).Average(value => (double)value);
        }

        [Test]
        public void AClipIsSeenAndHeardAndEnds()
        {
            var connected = new GameObject("connection");
            connected.SetActive(false);
            connected.AddComponent<LliaConnection>().Endpoint = Environment.GetEnvironmentVariable("LLIA_CONTROL");
            connected.SetActive(true);
            var image = new GameObject("avatar", typeof(RectTransform), typeof(RawImage));
            var avatar = image.AddComponent<LliaAvatar>();
            avatar.RawImage = image.GetComponent<RawImage>();
            Until(() => avatar.Texture != null && avatar.State == AvatarState.Idle, avatar);
            Until(() => avatar.Shown.Shown > 20, avatar);
            var quiet = m_reddest;
            var clip = AudioClip.Create("tone", 48000, 1, 48000, false);
            clip.SetData(Enumerable.Range(0, 48000).Select(i => (float)(0.5 * Math.Sin(i * 0.05))).ToArray(), 0);
            var started = 0;
            avatar.SpeakingStarted += id => started++;
            var spoken = avatar.SpeakAsync(clip, CancellationToken.None);
            Until(() => spoken.IsCompleted && started == 1 && !avatar.IsSpeaking, avatar);
            Assert.AreEqual(SpeechEnd.Finished, spoken.Result);
            Assert.That(m_reddest, Is.GreaterThan(quiet + 20), "the sound is seen");
            Assert.That(m_loudest, Is.InRange(0.4f, 0.6f), "and heard");
            Assert.IsEmpty(Engine.Log.Where(line => line.StartsWith("error")).ToArray());
        }
    }
}
