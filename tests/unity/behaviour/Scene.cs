using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading;
using Fakes;
using NUnit.Framework;
using UnityEngine;
using UnityEngine.UI;
using Object = UnityEngine.Object;

namespace Llia.Tests
{
    /// <summary>A scene with a connection to a fake daemon.</summary>
    internal abstract class Scene
    {
        protected FakeDaemon Daemon;
        protected LliaConnection Connection;

        [SetUp]
        public void BeginScene()
        {
            Engine.Begin();
            Daemon = new FakeDaemon();
            Connection = Make<LliaConnection>("connection", made => made.Endpoint = Daemon.Endpoint);
        }

        [TearDown]
        public void EndScene()
        {
            Engine.End();
            Daemon.Dispose();
            Assert.IsNull(Daemon.Fault);
            Assert.AreEqual(0, Engine.Textures, "textures left");
            Until(() => Threads() == 0, "threads left");
        }

        /// <summary>Makes an object with a component that is set up before it is enabled.</summary>
        protected static T Make<T>(string name, Action<T> setUp) where T : Component
        {
            return On(new GameObject(name), setUp);
        }

        protected static T On<T>(GameObject made, Action<T> setUp) where T : Component
        {
            made.SetActive(false);
            var component = made.AddComponent<T>();
            setUp(component);
            made.SetActive(true);
            return component;
        }

        /// <summary>An avatar in a RawImage that the daemon has opened and whose topics are subscribed to.</summary>
        protected LliaAvatar OpenAvatar(bool voice, Action<LliaAvatar> setUp = null)
        {
            var image = new GameObject("avatar", typeof(RectTransform), typeof(RawImage));
            var avatar = On<LliaAvatar>(image, made =>
            {
                made.RawImage = image.GetComponent<RawImage>();
                made.PlayVoice = voice;
                if (setUp != null)
                {
                    setUp(made);
                }
            });
            Until(() => avatar.IsOpen && Daemon.HasTopic("frame/a") && (!voice || Daemon.HasTopic("audio/a")), "open");
            Daemon.Statistics();
            return avatar;
        }

        /// <summary>Runs frames of the game until it happens; no time passes.</summary>
        protected static void Until(Func<bool> happened, string what, int mostMs = 15000)
        {
            var watch = Stopwatch.StartNew();
            while (!happened())
            {
                Assert.That(watch.ElapsedMilliseconds, Is.LessThan(mostMs), "not within the time: " + what + "; log: "
                    + string.Join(" | ", Engine.Log.ToArray()));
                Engine.Step(0);
                Thread.Sleep(1);
            }
        }

        /// <summary>The package's threads that live (Linux).</summary>
        protected static int Threads()
        {
            return Directory.GetDirectories("/proc/self/task").Count(task =>
            {
                try
                {
                    return File.ReadAllText(task + "/comm").StartsWith("llia-");
                }
                catch (IOException)
                {
                    return false; // it has ended meanwhile
                }
            });
        }

        protected static byte[] Pixels(int width, int height, byte seed)
        {
            var pixels = new byte[width * height * 4];
            for (var i = 0; i < pixels.Length; i++)
            {
                pixels[i] = (byte)(i * 7 + seed);
            }
            return pixels;
        }

        protected static AudioClip Clip(int frames, int channels, int rateHz, Func<int, float> sample)
        {
            var clip = AudioClip.Create("line", frames, channels, rateHz, false);
            var data = new float[frames * channels];
            for (var i = 0; i < data.Length; i++)
            {
                data[i] = sample(i);
            }
            clip.SetData(data, 0);
            return clip;
        }
    }
}
