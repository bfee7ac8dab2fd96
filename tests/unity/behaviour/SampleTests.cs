using System;
using System.Linq;
using System.Reflection;
using Fakes;
using LliaSamples;
using NUnit.Framework;
using UnityEngine;

namespace Llia.Tests
{
    /// <summary>Each sample on an empty object of an empty scene, as its comment tells.</summary>
    [TestFixture]
    internal sealed class SampleTests : Scene
    {
        private static T Run<T>(params object[] fieldsAndValues) where T : Component
        {
            return Make<T>("sample", made =>
            {
                for (var i = 0; i < fieldsAndValues.Length; i += 2)
                {
                    var field = typeof(T).GetField((string)fieldsAndValues[i], BindingFlags.Instance | BindingFlags.NonPublic);
                    Assert.IsNotNull(field, (string)fieldsAndValues[i]);
                    field.SetValue(made, fieldsAndValues[i + 1]);
                }
            });
        }

        private bool AllOpen(int count)
        {
            return Daemon.All("open_avatar").Length == count
                && Engine.Objects.SelectMany(made => made.Components).OfType<LliaAvatar>().Count(avatar => avatar.IsOpen) == count;
        }

        [Test]
        public void TalkingPortrait()
        {
            Run<TalkingPortrait>("m_clip", Clip(1600, 1, 16000, i => 0.1f));
            Until(() => AllOpen(1), "open");
            Assert.IsNotNull(Camera.main);
            Engine.PressNext("Speak");
            Until(() => Daemon.All("audio").Length > 0, "speaks");
            Engine.PressNext("Stop");
            Until(() => Daemon.All("cancel").Length > 0, "stops");
            Assert.IsTrue(Engine.Gui.Contains("[Speak]"));
        }

        [Test]
        public void NpcDialogue()
        {
            Run<NpcDialogue>("m_lines", new[] { Clip(16000, 1, 16000, i => 0.1f) }, "m_texts", new[] { "Well met." });
            Until(() => AllOpen(1), "open");
            Engine.PressNext("Next line");
            Until(() => Daemon.All("audio").Length > 2, "speaks in pieces");
            Assert.IsTrue(Engine.Gui.Contains("Well met."));
            Engine.PressNext("Interrupt");
            Engine.Step(0);
            Until(() => Daemon.All("cancel").Length > 1, "is interrupted");
            var said = Daemon.All("audio").Sum(asked => asked.Samples.Length);
            Engine.PressNext("Next line");
            Until(() => Daemon.All("audio").Any(asked => asked.Fields["final"] == "true") || Daemon.All("end").Length > 0, "to its end");
            Assert.AreEqual(16000, Daemon.All("audio").Sum(asked => asked.Samples.Length) - said);
        }

        [Test]
        public void NpcCrowd()
        {
            Run<NpcCrowd>("m_clips", new[] { Clip(1600, 1, 16000, i => 0.1f) });
            Until(() => AllOpen(3), "open");
            Assert.AreEqual(
                new[] { "amber", "theo", "mika" }, Daemon.All("open_avatar").Select(asked => asked.Fields["picture"]).ToArray());
            Assert.AreEqual(1, Daemon.All("hello").Length, "one connection");
            Until(() => Daemon.All("audio").Length > 0, "the first one speaks");
            Until(() => Daemon.All("set_state").Length >= 2, "the others listen");
        }

        [Test]
        public void MicrophoneAvatar()
        {
            Run<MicrophoneAvatar>();
            Until(() => AllOpen(1), "open");
            for (var i = 0; i < 16000; i++)
            {
                Microphone.Recording.Data[i] = 0.2f;
            }
            Microphone.Position = 8000;
            Until(() => Daemon.All("audio").Length > 0, "speaks");
            Assert.AreEqual("true", Daemon.All("audio")[0].Fields["live"]);
            Engine.PressNext("It listens to you");
            Engine.Step(0);
            Microphone.Position = 15000;
            Until(() => Daemon.All("audio").Any(asked => asked.Fields["role"] == "other"), "listens");
        }

        [Test]
        public void BlendshapeRig()
        {
            Run<BlendshapeRig>();
            Until(() => AllOpen(1) && Daemon.HasTopic("blendshapes/a"), "open");
            Daemon.Face(640, 1.0);
            var skin = Engine.Find<SkinnedMeshRenderer>();
            Until(() => skin.Weights.Count >= 3, "driven");
            Assert.AreEqual(100f, skin.Weights[0], "jawOpen");
        }
    }
}
