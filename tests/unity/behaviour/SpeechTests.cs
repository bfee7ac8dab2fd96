using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Fakes;
using Llia.Core;
using NUnit.Framework;
using UnityEngine;

namespace Llia.Tests
{
    [TestFixture]
    internal sealed class SpeechTests : Scene
    {
        private float[] Said(string utteranceId = null)
        {
            return Daemon.All("audio").Where(asked => utteranceId == null || asked.Fields["utterance_id"] == utteranceId)
                .SelectMany(asked => asked.Samples).ToArray();
        }

        [Test]
        public void AClipIsSentWholeAndItsEndIsTold()
        {
            var avatar = OpenAvatar(false);
            var ended = avatar.SpeakAsync(Clip(30000, 2, 44100, i => i % 2 == 0 ? 0.5f : 0.25f), CancellationToken.None);
            Until(() => Said().Length == 30000, "sent");
            Assert.IsTrue(Said().All(sample => Math.Abs(sample - 0.375f) < 1e-6), "the mean of the channels");
            var pieces = Daemon.All("audio");
            Assert.AreEqual("44100", pieces[0].Fields["sample_rate_hz"]);
            Assert.AreEqual("true", pieces.Last().Fields["final"]);
            var id = pieces[0].Fields["utterance_id"];
            Daemon.Event("utterance_started", id, 0);
            Daemon.Event("first_frame", id, 640);
            Until(() => avatar.IsSpeaking, "speaks");
            Daemon.Event("finished", id, 20000);
            Until(() => ended.IsCompleted, "ended");
            Assert.AreEqual(SpeechEnd.Finished, ended.Result);
            Until(() => !avatar.IsSpeaking, "silent");
        }

        [Test]
        public void AStreamIsSentAsItComes()
        {
            var avatar = OpenAvatar(false);
            Assert.AreEqual(960, avatar.Push(Enumerable.Repeat(0.1f, 960).ToArray(), 24000, 2));
            Until(() => Said().Length == 480, "the first piece");
            avatar.Push(Enumerable.Repeat(0.2f, 100).ToArray(), 24000);
            avatar.EndPush();
            Until(() => Said().Length == 580 && Daemon.All("audio").Concat(Daemon.All("end")).Any(
                asked => asked.Type == "end" || asked.Fields["final"] == "true"), "the rest");
            Assert.AreEqual(1, Daemon.All("audio").Select(asked => asked.Fields["utterance_id"]).Distinct().Count());
            avatar.Push(new float[10], 24000);
            Until(() => Daemon.All("audio").Select(asked => asked.Fields["utterance_id"]).Distinct().Count() == 2, "a new one");
        }

        [Test]
        public void WrongSamplesAreAnArgumentsFault()
        {
            var avatar = OpenAvatar(false);
            Assert.Throws<ArgumentException>(() => avatar.Push(new float[3], 48000, 2));
            Assert.Throws<ArgumentException>(() => avatar.Push(null));
        }

        [Test]
        public void AClipThatLoadsIsWaitedForAndKeepsItsPlace()
        {
            var avatar = OpenAvatar(false);
            var slow = Clip(1000, 1, 16000, i => 0.1f);
            slow.loadState = AudioDataLoadState.Unloaded;
            avatar.Speak(slow);
            avatar.Speak(Clip(1000, 1, 16000, i => 0.2f));
            Engine.Step(0.1);
            Assert.AreEqual(AudioDataLoadState.Loading, slow.loadState);
            Assert.AreEqual(0, Said().Length);
            slow.loadState = AudioDataLoadState.Loaded;
            Until(() => Said().Length == 2000, "both");
            Assert.AreEqual(0.1f, Said()[0], 1e-6);
        }

        [Test]
        public void AClipThatCannotBeReadIsToldWithTheRemedy()
        {
            var avatar = OpenAvatar(false);
            var told = new List<string>();
            avatar.Failed += (code, text) => told.Add(code + ": " + text);
            var streamed = Clip(1000, 1, 16000, i => 0.1f);
            streamed.loadType = AudioClipLoadType.Streaming;
            var ended = avatar.SpeakAsync(streamed, CancellationToken.None);
            Assert.AreEqual(SpeechEnd.Interrupted, ended.Result);
            StringAssert.Contains("Decompress On Load", told.Single());
            Assert.AreEqual(SpeechEnd.Interrupted, avatar.SpeakAsync(null, CancellationToken.None).Result);
        }

        [Test]
        public void StopIsSilentAtOnceAndToldOnce()
        {
            var avatar = OpenAvatar(true);
            var ends = new List<SpeechEnd>();
            avatar.SpeakingEnded += (id, how) => ends.Add(how);
            var ended = avatar.SpeakAsync(Clip(160000, 1, 16000, i => 0.5f), CancellationToken.None);
            Until(() => Daemon.All("audio").Length > 0, "sent");
            var utterance = Daemon.All("audio")[0].Fields["utterance_id"];
            Daemon.Event("first_frame", utterance, 0);
            Daemon.Frame(0, 2, 2, Pixels(2, 2, 1), 0, utterance);
            Daemon.Echo(0, Enumerable.Repeat(0.5f, 8000).ToArray());
            Until(() => avatar.IsSpeaking && avatar.Session.Voice.Echo.End == 8000, "speaks");
            Assert.That(Engine.RenderAudio().Skip(1000).Max(), Is.GreaterThan(0.4f));
            avatar.Stop();
            Assert.AreEqual(new[] { SpeechEnd.Cancelled }, ends.ToArray());
            Assert.IsFalse(avatar.IsSpeaking);
            Assert.That(Engine.RenderAudio().Skip(480).Max(), Is.LessThan(1e-5), "silent within 5 ms");
            Until(() => Daemon.All("cancel").Length == 1 && ended.IsCompleted, "cancelled");
            Assert.AreEqual(SpeechEnd.Cancelled, ended.Result);
            var shown = avatar.Shown.Shown;
            Daemon.Frame(640, 2, 2, Pixels(2, 2, 2), 0, utterance);
            Daemon.Echo(8000, Enumerable.Repeat(0.5f, 640).ToArray());
            Daemon.Event("cancelled", utterance, 1280);
            Daemon.Frame(1280, 2, 2, Pixels(2, 2, 3), 1);
            Until(() => avatar.Shown.Shown > shown, "the new epoch is shown");
            Assert.AreEqual(Pixels(2, 2, 3), avatar.Texture.Uploaded);
            Assert.AreEqual(shown + 1, avatar.Shown.Shown);
            Assert.AreEqual(1, ends.Count);
        }

        [Test]
        public void CancellingTheTokenStops()
        {
            var avatar = OpenAvatar(false);
            var cancellation = new CancellationTokenSource();
            var ended = avatar.SpeakAsync(Clip(16000, 1, 16000, i => 0.5f), cancellation.Token);
            Until(() => Daemon.All("audio").Length > 0, "sent");
            Task.Run(() => cancellation.Cancel());
            Until(() => ended.IsCompleted && Daemon.All("cancel").Length == 1, "cancelled");
            Assert.AreEqual(SpeechEnd.Cancelled, ended.Result);
        }

        [Test]
        public void AnotherRateBeginsAnotherUtterance()
        {
            var avatar = OpenAvatar(false);
            avatar.Push(new float[100], 16000);
            avatar.Push(new float[100], 22050);
            Until(() => Said().Length == 200, "both");
            Assert.AreEqual(2, Daemon.All("audio").Select(asked => asked.Fields["utterance_id"]).Distinct().Count());
        }

        [Test]
        public void TheOtherPartyIsHeard()
        {
            var avatar = OpenAvatar(false);
            Assert.AreEqual(320, avatar.Hear(new float[320], 320, 16000, 1));
            avatar.EndHearing();
            Until(() => Daemon.All("audio").Length == 1, "heard");
            Assert.AreEqual("other", Daemon.All("audio")[0].Fields["role"]);
            Assert.AreEqual("true", Daemon.All("audio")[0].Fields["live"]);
        }

        [TestCase(false, "self")]
        [TestCase(true, "other")]
        public void ATapGivesWhatASourcePlays(bool other, string role)
        {
            var avatar = OpenAvatar(false);
            var played = new GameObject("radio");
            var source = played.AddComponent<AudioSource>();
            source.clip = Clip(96000, 1, 48000, i => i < 48000 ? 0.3f : 0f);
            var tap = On<LliaAudioTap>(played, made =>
            {
                made.Avatar = avatar;
                made.Other = other;
            });
            Engine.Step(0);
            source.Play();
            var heard = Engine.RenderAudio();
            Assert.AreEqual(other ? 0.3f : 0f, heard.Max(), 1e-6, "the avatar says it in the source's place");
            Until(() => Daemon.All("audio").Length > 0, "sent");
            Assert.IsTrue(tap.IsTalking);
            Assert.AreEqual(role, Daemon.All("audio")[0].Fields["role"]);
            for (var i = 0; i < 80; i++)
            {
                Engine.RenderAudio();
                Engine.Step(0.02);
            }
            Until(() => !tap.IsTalking, "quiet");
            Until(() => Daemon.All("end").Length == 1 || Daemon.All("audio").Last().Fields["final"] == "true", "ended");
            Assert.AreEqual(0.3f, Said()[1000], 1e-6);
        }
    }
}
